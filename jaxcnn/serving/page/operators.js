/* ONNX operators on elements and axes. */
(function () {
  'use strict';
  const root = typeof window === 'undefined' ? globalThis : window;
  const Jaxcnn = root.Jaxcnn;
  const { operators } = Jaxcnn;
  const { size, tensor, strides, positions, broadcast } = Jaxcnn.tensors;

  const same = (a, b) => a.length === b.length && a.every((side, i) => side === b[i]);

  function unary(f) {
    return function ([x], attributes) {
      const output = tensor(x.shape);
      const run = () => {
        const [from, to] = [x.data, output.data];
        for (let i = 0; i < to.length; i++) to[i] = f(from[i], attributes);
      };
      return { output, run };
    };
  }

  function pairwise([a, b], f) {
    const shape = broadcast(a.shape, b.shape);
    const whole = Array.isArray(a.data) && Array.isArray(b.data);
    const output = tensor(shape, whole ? new Array(size(shape)).fill(0) : undefined);
    const at = (x) => (same(x.shape, shape) ? null : positions(shape, strides(x.shape, shape.length)));
    const [aAt, bAt] = [at(a), at(b)];
    const run = () => {
      const to = output.data;
      for (let i = 0; i < to.length; i++) to[i] = f(a.data[aAt ? aAt[i] : i], b.data[bAt ? bAt[i] : i]);
    };
    return { output, run };
  }

  /* Elementwise on any number of inputs, two at a time. */
  function binary(f) {
    return function (inputs) {
      const runs = [];
      const output = inputs.reduce((a, b) => {
        const step = pairwise([a, b], f);
        runs.push(step.run);
        return step.output;
      });
      if (!runs.length) return { output: { ...output }, run: null };
      return { output, run: runs.length === 1 ? runs[0] : () => runs.forEach((run) => run()) };
    };
  }

  Object.assign(operators, {
    Add: binary((a, b) => a + b),
    Sub: binary((a, b) => a - b),
    Mul: binary((a, b) => a * b),
    Div: binary((a, b) => a / b),
    Pow: binary((a, b) => Math.pow(a, b)),
    Max: binary((a, b) => (a > b ? a : b)),
    Min: binary((a, b) => (a < b ? a : b)),
    Equal: binary((a, b) => Number(a === b)),
    Less: binary((a, b) => Number(a < b)),
    LessOrEqual: binary((a, b) => Number(a <= b)),
    Greater: binary((a, b) => Number(a > b)),
    GreaterOrEqual: binary((a, b) => Number(a >= b)),
    And: binary((a, b) => Number(a && b)),
    Or: binary((a, b) => Number(a || b)),
  });

  /* Error function by its series and, beyond 3, its continued fraction: 1e-7 everywhere. */
  function erf(x) {
    const z = Math.abs(x);
    if (z > 6) return Math.sign(x);
    let value;
    if (z < 3) {
      let term = z;
      value = z;
      for (let n = 1; Math.abs(term) > 1e-12 * value && n < 100; n++) {
        term *= -z * z / n;
        value += term / (2 * n + 1);
      }
      value *= 2 / Math.sqrt(Math.PI);
    } else {
      let fraction = z;
      for (let n = 20; n > 0; n--) fraction = z + n / 2 / fraction;
      value = 1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / fraction;
    }
    return x < 0 ? -value : value;
  }

  const within = (x, low, high) => (x < low ? low : x > high ? high : x);
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  Object.assign(operators, {
    Relu: unary((x) => (x > 0 ? x : 0)),
    LeakyRelu: unary((x, { alpha = 0.01 }) => (x > 0 ? x : alpha * x)),
    Sigmoid: unary(sigmoid),
    HardSigmoid: unary((x, { alpha = 0.2, beta = 0.5 }) => within(alpha * x + beta, 0, 1)),
    HardSwish: unary((x) => x * within(x / 6 + 0.5, 0, 1)),
    Softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
    Tanh: unary(Math.tanh),
    Erf: unary(erf),
    Exp: unary(Math.exp),
    Log: unary(Math.log),
    Sqrt: unary(Math.sqrt),
    Reciprocal: unary((x) => 1 / x),
    Neg: unary((x) => -x),
    Abs: unary(Math.abs),
    Floor: unary(Math.floor),
    Not: unary((x) => Number(!x)),
    IsNaN: unary((x) => Number(Number.isNaN(x))),
    IsInf: unary((x) => Number(Math.abs(x) === Infinity)),
  });

  operators.Clip = function ([x, low, high]) {
    const limit = (bound, missing) => (bound ? bound.data[0] : missing);
    return unary((value) => within(value, limit(low, -Infinity), limit(high, Infinity)))([x], {});
  };

  /* The same values with another shape. */
  const view = (x, shape) => ({ output: { data: x.data, shape, constant: false }, run: null });
  const axisOf = (axis, rank) => (axis < 0 ? axis + rank : axis);

  operators.Identity = ([x]) => view(x, x.shape);
  operators.Dropout = operators.Identity;

  operators.Cast = function ([x], { to }) {
    if (to === 'bool') return unary((value) => Number(value !== 0))([x], {});
    const whole = to !== 'float32' && to !== 1;
    return whole && !Array.isArray(x.data) ? unary(Math.trunc)([x], {}) : view(x, x.shape);
  };

  operators.Shape = ([x]) => ({ output: { data: x.shape.slice(), shape: [x.shape.length], constant: true }, run: null });

  operators.Reshape = function ([x, wanted]) {
    const shape = Array.from(wanted.data, (side, i) => (side === 0 ? x.shape[i] : side));
    const free = shape.indexOf(-1);
    if (free >= 0) shape[free] = size(x.shape) / -size(shape);
    if (size(shape) !== size(x.shape)) throw new Error(`[${x.shape}] cannot become [${shape}]`);
    return view(x, shape);
  };

  operators.Flatten = function ([x], { axis = 1 }) {
    const at = axisOf(axis, x.shape.length);
    return view(x, [size(x.shape.slice(0, at)), size(x.shape.slice(at))]);
  };

  operators.Squeeze = function ([x, axes], attributes) {
    const named = axes ? Array.from(axes.data) : attributes.axes;
    const dropped = named && named.map((axis) => axisOf(axis, x.shape.length));
    return view(x, x.shape.filter((side, i) => (dropped ? !dropped.includes(i) : side !== 1)));
  };

  operators.Unsqueeze = function ([x, axes], attributes) {
    const named = axes ? Array.from(axes.data) : attributes.axes;
    const shape = x.shape.slice();
    const rank = shape.length + named.length;
    named.map((axis) => axisOf(axis, rank)).sort((a, b) => a - b).forEach((axis) => shape.splice(axis, 0, 1));
    return view(x, shape);
  };

  /* Values of x at fixed positions; `fill` where the position is negative. */
  function gather(x, shape, at, fill) {
    const output = tensor(shape, Array.isArray(x.data) ? new Array(size(shape)).fill(0) : undefined);
    const run = () => {
      for (let i = 0; i < at.length; i++) output.data[i] = at[i] < 0 ? fill : x.data[at[i]];
    };
    return { output, run };
  }

  operators.Transpose = function ([x], { perm }) {
    const order = perm || x.shape.map((_, i) => x.shape.length - 1 - i);
    const steps = strides(x.shape);
    const shape = order.map((axis) => x.shape[axis]);
    const kept = (sides) => sides.filter((side) => side !== 1).length;
    // Axes of one element move without moving values.
    if (kept(shape) <= 1) return view(x, shape);
    return gather(x, shape, positions(shape, order.map((axis) => steps[axis])));
  };

  operators.Expand = function ([x, wanted]) {
    const shape = broadcast(x.shape, Array.from(wanted.data));
    return gather(x, shape, positions(shape, strides(x.shape, shape.length)));
  };

  operators.Slice = function ([x, starts, ends, axes, steps]) {
    const shape = x.shape.slice();
    const step = strides(x.shape);
    let first = 0;
    Array.from(starts.data).forEach((start, i) => {
      const axis = axisOf(axes ? axes.data[i] : i, shape.length);
      const by = steps ? steps.data[i] : 1;
      const side = x.shape[axis];
      const place = (value, low, high) => within(value < 0 ? value + side : value, low, high);
      const from = by > 0 ? place(start, 0, side) : place(start, 0, side - 1);
      const to = by > 0 ? place(ends.data[i], 0, side) : place(ends.data[i], -1, side - 1);
      shape[axis] = Math.max(0, Math.ceil((to - from) / by));
      first += from * step[axis];
      step[axis] *= by;
    });
    return gather(x, shape, positions(shape, step, first));
  };

  operators.Pad = function ([x, pads, value, axes], { mode = 'constant' }) {
    if (mode !== 'constant') throw new Error(`mode must be constant. Received: ${mode}`);
    const rank = x.shape.length;
    const named = axes ? Array.from(axes.data, (axis) => axisOf(axis, rank)) : x.shape.map((_, i) => i);
    const before = new Array(rank).fill(0);
    const shape = x.shape.slice();
    named.forEach((axis, i) => {
      before[axis] = pads.data[i];
      shape[axis] += pads.data[i] + pads.data[i + named.length];
    });
    const steps = strides(x.shape);
    const at = new Int32Array(size(shape));
    const outer = strides(shape);
    for (let i = 0; i < at.length; i++) {
      let position = 0;
      for (let axis = 0; axis < rank && position >= 0; axis++) {
        const index = (Math.floor(i / outer[axis]) % shape[axis]) - before[axis];
        position = index < 0 || index >= x.shape[axis] ? -1 : position + index * steps[axis];
      }
      at[i] = position;
    }
    return gather(x, shape, at, value ? value.data[0] : 0);
  };

  operators.Concat = function (inputs, { axis }) {
    const rank = inputs[0].shape.length;
    const at = axisOf(axis, rank);
    const shape = inputs[0].shape.slice();
    shape[at] = inputs.reduce((sum, x) => sum + x.shape[at], 0);
    const whole = inputs.every((x) => Array.isArray(x.data));
    const output = tensor(shape, whole ? new Array(size(shape)).fill(0) : undefined);
    const outer = size(shape.slice(0, at));
    const run = () => {
      let to = 0;
      for (let i = 0; i < outer; i++) {
        for (const x of inputs) {
          const part = size(x.shape.slice(at));
          for (let j = 0; j < part; j++) output.data[to++] = x.data[i * part + j];
        }
      }
    };
    return { output, run };
  };

  operators.Softmax = function ([x], { axis = -1 }) {
    const at = axisOf(axis, x.shape.length);
    const [count, inner] = [x.shape[at], size(x.shape.slice(at + 1))];
    const output = tensor(x.shape);
    const run = () => {
      for (let i = 0; i < x.data.length / count; i++) {
        const first = Math.floor(i / inner) * inner * count + (i % inner);
        let largest = -Infinity;
        for (let j = 0; j < count; j++) largest = Math.max(largest, x.data[first + j * inner]);
        let sum = 0;
        for (let j = 0; j < count; j++) sum += Math.exp(x.data[first + j * inner] - largest);
        for (let j = 0; j < count; j++) {
          output.data[first + j * inner] = Math.exp(x.data[first + j * inner] - largest) / sum;
        }
      }
    };
    return { output, run };
  };

  function reduction(start, step, finish) {
    return function ([x, axes], { keepdims = 1, axes: named }) {
      const rank = x.shape.length;
      const listed = axes ? Array.from(axes.data) : named || x.shape.map((_, i) => i);
      const reduced = listed.map((axis) => axisOf(axis, rank));
      const kept = x.shape.map((side, i) => (reduced.includes(i) ? 1 : side));
      const shape = keepdims ? kept : kept.filter((_, i) => !reduced.includes(i));
      const output = tensor(shape);
      const at = positions(x.shape, strides(kept, rank));
      const count = size(x.shape) / size(kept);
      const run = () => {
        output.data.fill(start);
        for (let i = 0; i < at.length; i++) output.data[at[i]] = step(output.data[at[i]], x.data[i]);
        if (finish) for (let i = 0; i < output.data.length; i++) output.data[i] = finish(output.data[i], count);
      };
      return { output, run };
    };
  }

  operators.ReduceSum = reduction(0, (a, b) => a + b);
  operators.ReduceMean = reduction(0, (a, b) => a + b, (sum, count) => sum / count);
  operators.ReduceMax = reduction(-Infinity, (a, b) => (a > b ? a : b));
  operators.ReduceMin = reduction(Infinity, (a, b) => (a < b ? a : b));
})();
