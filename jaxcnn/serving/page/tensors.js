/* Networks in the form of network.json: loading, and running in buffers that are allocated once.
   A tensor is {data, shape, constant}; integers (shapes, axes) are plain arrays. */
(function () {
  'use strict';
  const root = typeof window === 'undefined' ? globalThis : window;
  const Jaxcnn = (root.Jaxcnn = root.Jaxcnn || {});
  // Operators by name: (inputs, attributes, node) -> {output, run}; run is null for views.
  const operators = (Jaxcnn.operators = Jaxcnn.operators || {});

  const size = (shape) => shape.reduce((product, side) => product * side, 1);

  function tensor(shape, data) {
    return { shape, data: data || new Float32Array(size(shape)), constant: false };
  }

  /* Steps from one element to the next of each axis; 0 along the axes that are broadcast. */
  function strides(shape, rank) {
    const steps = new Array(rank === undefined ? shape.length : rank).fill(0);
    let step = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      steps[steps.length - shape.length + axis] = rank !== undefined && shape[axis] === 1 ? 0 : step;
      step *= shape[axis];
    }
    return steps;
  }

  /* Position in a buffer of each element of `shape`, in order, at the given steps. */
  function positions(shape, steps, start) {
    const found = new Int32Array(size(shape));
    const index = new Array(shape.length).fill(0);
    let position = start || 0;
    for (let i = 0; i < found.length; i++) {
      found[i] = position;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        position += steps[axis];
        if (++index[axis] < shape[axis]) break;
        position -= steps[axis] * shape[axis];
        index[axis] = 0;
      }
    }
    return found;
  }

  function broadcast(a, b) {
    const rank = Math.max(a.length, b.length);
    return Array.from({ length: rank }, (_, i) => {
      const [m, n] = [a[a.length - rank + i] || 1, b[b.length - rank + i] || 1];
      if (m !== n && m !== 1 && n !== 1) {
        throw new Error(`shapes must broadcast. Received: [${a}] and [${b}]`);
      }
      return Math.max(m, n);
    });
  }

  function bytesOf(text) {
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes.buffer;
  }

  function constantOf(entry, buffer) {
    const count = size(entry.shape);
    const part = (width) => buffer.slice(entry.offset, entry.offset + width * count);
    const readers = {
      float32: () => new Float32Array(part(4)),
      int64: () => Array.from(new BigInt64Array(part(8)), Number),
      int32: () => Array.from(new Int32Array(part(4))),
      uint8: () => Float32Array.from(new Uint8Array(part(1))),
      bool: () => Array.from(new Uint8Array(part(1))),
    };
    if (!readers[entry.dtype]) throw new Error(`constants of dtype ${entry.dtype} are not supported`);
    return { shape: entry.shape, data: readers[entry.dtype](), constant: true };
  }

  /* The layer that a node belongs to: the next one whose value is computed at or after it. */
  function pathOf(network, at) {
    const later = network.nodes.slice(at).flatMap((node) => node.outputs);
    for (const value of later) {
      const layer = network.layers.find((candidate) => candidate.value === value);
      if (layer) return layer.path;
    }
    return 'output';
  }

  /* Load network.json (text or object). Returns {signature, layers, inputShape, value, run};
     run(pixels of one input, channels last) gives {outputs, maps: {path: {data, shape}}}, in
     buffers that the next run overwrites. */
  Jaxcnn.loadNetwork = function (json) {
    const network = typeof json === 'string' ? JSON.parse(json) : json;
    if (network.format !== 'jaxcnn-web' || network.version !== 1) {
      throw new Error(
        `a network must have the format jaxcnn-web, version 1. Received: ${network.format}, version ${network.version}`);
    }
    const values = new Map();
    const buffer = bytesOf(network.weights);
    for (const name of Object.keys(network.constants)) {
      values.set(name, constantOf(network.constants[name], buffer));
    }
    const input = tensor(network.input.shape);
    values.set(network.input.name, input);
    const steps = [];
    network.nodes.forEach((node, at) => {
      if (!Object.prototype.hasOwnProperty.call(operators, node.op)) {
        throw new Error(`operator ${node.op} of layer ${pathOf(network, at)} is not supported`);
      }
      const inputs = node.inputs.map((name) => (name ? values.get(name) : undefined));
      let planned;
      try {
        planned = operators[node.op](inputs, node.attributes || {}, node);
      } catch (error) {
        throw new Error(`operator ${node.op} of layer ${pathOf(network, at)}: ${error.message}`);
      }
      const { output, run } = planned;
      output.constant = inputs.every((value) => !value || value.constant);
      if (run && output.constant) run();
      else if (run) steps.push(run);
      values.set(node.outputs[0], output);
    });
    const maps = {};
    for (const layer of network.layers) {
      const value = values.get(layer.value);
      if (value) maps[layer.path] = { data: value.data, shape: value.shape };
    }
    const result = { outputs: values.get(network.output).data, maps };
    return {
      signature: network.signature,
      layers: network.layers,
      nodes: network.nodes,
      inputShape: network.input.shape.slice(1),
      outputCount: result.outputs.length,
      value: (name) => values.get(name),
      run(pixels) {
        if (pixels.length !== input.data.length) {
          throw new Error(`pixels must have ${input.data.length} values. Received: ${pixels.length}`);
        }
        input.data.set(pixels);
        for (let i = 0; i < steps.length; i++) steps[i]();
        return result;
      },
    };
  };

  Jaxcnn.tensors = { size, tensor, strides, positions, broadcast };
})();
