"""Train with the pure steps by hand: a state, a batch, a new state."""

import jax
import optax
from flax import nnx

import jaxcnn as cnn


def main(epochs: int = 20, batch_size: int = 64) -> float:
    """Train the course's network on the digits; returns the accuracy on held-out ones."""
    train = cnn.data.load("digits", image_size=28)
    test = cnn.data.load("digits", image_size=28, split="test")
    network = cnn.models.create("mnist_cnn")
    model = network.build(train.image_shape, rngs=nnx.Rngs(0))

    steps = epochs * -(-len(train) // batch_size)
    optimizer = optax.adam(optax.cosine_onecycle_schedule(steps, 3e-3))
    init, train_step = cnn.make_training(model, optimizer, augment=cnn.augment.random_shift)
    state = init(jax.random.key(0))
    eval_step = cnn.make_eval_step(model)

    for epoch in range(epochs):
        for batch in cnn.data.batches(train, batch_size, seed=0, epoch=epoch):
            state, metrics = train_step(state, batch)
        print(f"epoch {epoch + 1}: loss of the last batch {metrics.loss:.4f}")

    # Sums are added first and divided once, so that every image counts the same.
    measured = [eval_step(state, batch) for batch in cnn.data.batches(test, 256)]
    correct = sum(int(metrics.correct) for metrics in measured)
    print(f"{correct} of {len(test)} right")
    return correct / len(test)


if __name__ == "__main__":
    main()
