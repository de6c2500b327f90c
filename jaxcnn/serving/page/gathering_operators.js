/* ONNX operators that choose, interpolate or sum elements by their positions. */
(function () {
  'use strict';
  const root = typeof window === 'undefined' ? globalThis : window;
  const Jaxcnn = root.Jaxcnn;
  const { operators } = Jaxcnn;
  const { size, tensor, strides, positions, broadcast } = Jaxcnn.tensors;

  operators.Where = function (inputs) {
    const shape = inputs.map((x) => x.shape).reduce(broadcast);
    const whole = inputs.every((x) => Array.isArray(x.data));
    const output = tensor(shape, whole ? new Array(size(shape)).fill(0) : undefined);
    const [which, yes, no] = inputs;
    const [at, yesAt, noAt] = inputs.map((x) => positions(shape, strides(x.shape, shape.length)));
    const run = () => {
      const to = output.data;
      for (let i = 0; i < to.length; i++) to[i] = which.data[at[i]] ? yes.data[yesAt[i]] : no.data[noAt[i]];
    };
    return { output, run };
  };

  /* Each value is a sum of values along an axis: `taps` per place, at `at`, times `weights`. */
  function alongAxis(x, axis, places, taps, at, weights) {
    const shape = x.shape.slice();
    shape.splice(axis, 1, ...places);
    const whole = Array.isArray(x.data);
    const output = tensor(shape, whole ? new Array(size(shape)).fill(0) : undefined);
    const [length, inner] = [x.shape[axis], size(x.shape.slice(axis + 1))];
    const [outer, count] = [size(x.shape.slice(0, axis)), size(places)];
    const run = () => {
      let to = 0;
      for (let part = 0; part < outer; part++) {
        for (let place = 0; place < count; place++) {
          for (let i = 0; i < inner; i++) {
            let sum = 0;
            for (let tap = place * taps; tap < (place + 1) * taps; tap++) {
              sum += weights[tap] * x.data[(part * length + at[tap]) * inner + i];
            }
            output.data[to++] = sum;
          }
        }
      }
    };
    return { output, run };
  }

  operators.Gather = function ([x, index], { axis = 0 }) {
    if (!index.constant) throw new Error('positions must be constants');
    const along = axis < 0 ? axis + x.shape.length : axis;
    const at = Array.from(index.data, (place) => (place < 0 ? place + x.shape[along] : place));
    return alongAxis(x, along, index.shape, 1, at, at.map(() => 1));
  };

  /* Offsets from the place before, and the weights of the values there, by the distance from it. */
  const METHODS = {
    nearest: () => [[0], () => [1]],
    linear: () => [[0, 1], (t) => [1 - t, t]],
    cubic: (a) => {
      const near = (t) => ((a + 2) * t - (a + 3)) * t * t + 1;
      const far = (t) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
      return [[-1, 0, 1, 2], (t) => [far(1 + t), near(t), near(1 - t), far(2 - t)]];
    },
  };

  function resizeAxis(x, axis, length, attributes) {
    const { mode = 'nearest', nearest_mode: rounding, coordinate_transformation_mode: coordinates } = attributes;
    if (!METHODS[mode] || !['half_pixel', 'asymmetric'].includes(coordinates)) {
      throw new Error(`mode ${mode}, ${coordinates} is not supported`);
    }
    const [offsets, weigh] = METHODS[mode](attributes.cubic_coeff_a === undefined ? -0.75 : attributes.cubic_coeff_a);
    const [side, at, weights] = [x.shape[axis], [], []];
    const shift = coordinates === 'half_pixel' ? 0.5 : 0;
    for (let i = 0; i < length; i++) {
      let place = (i + shift) * (side / length) - shift;
      // A half, after rounding errors of the division, is still one.
      if (mode === 'nearest') place = Math.floor(place + (rounding === 'floor' ? 0 : 0.5) + 1e-9);
      const first = Math.floor(place);
      offsets.forEach((offset) => at.push(Math.min(side - 1, Math.max(0, first + offset))));
      weights.push(...weigh(place - first));
    }
    return alongAxis(x, axis, [length], offsets.length, at, weights);
  }

  operators.Resize = function ([x, , , sizes], attributes) {
    if (!sizes) throw new Error('sizes must be given');
    const axes = attributes.axes || x.shape.map((_, i) => i);
    const runs = [];
    const output = axes.reduce((before, axis, i) => {
      if (before.shape[axis] === sizes.data[i]) return before;
      const step = resizeAxis(before, axis, sizes.data[i], attributes);
      runs.push(step.run);
      return step.output;
    }, x);
    return { output: { ...output }, run: runs.length ? () => runs.forEach((run) => run()) : null };
  };

  /* The sum over the letters that the result has not, of the product of all inputs. */
  operators.Einsum = function (inputs, { equation }) {
    const [left, result] = equation.replace(/\s/g, '').split('->');
    const terms = left.split(',');
    if (result === undefined || equation.includes('.')) throw new Error(`equation ${equation} is not supported`);
    const sides = {};
    terms.forEach((term, n) => [...term].forEach((letter, i) => { sides[letter] = inputs[n].shape[i]; }));
    const summed = Object.keys(sides).filter((letter) => !result.includes(letter));
    const shapeOf = (letters) => letters.map((letter) => sides[letter]);
    const places = (letters) => inputs.map((x, n) => {
      const steps = strides(x.shape);
      const step = (letter) => [...terms[n]].reduce((sum, each, i) => sum + (each === letter ? steps[i] : 0), 0);
      return positions(shapeOf(letters), letters.map(step));
    });
    const [outer, inner] = [places([...result]), places(summed)];
    const output = tensor(shapeOf([...result]));
    const run = () => {
      for (let i = 0; i < output.data.length; i++) {
        let sum = 0;
        for (let j = 0; j < inner[0].length; j++) {
          let value = 1;
          for (let n = 0; n < inputs.length; n++) value *= inputs[n].data[outer[n][i] + inner[n][j]];
          sum += value;
        }
        output.data[i] = sum;
      }
    };
    return { output, run };
  };
})();
