/* ONNX operators with windows and products: convolutions, pooling, matrix products. */
(function () {
  'use strict';
  const root = typeof window === 'undefined' ? globalThis : window;
  const Jaxcnn = root.Jaxcnn;
  const { operators } = Jaxcnn;
  const { size, tensor, broadcast, strides, positions } = Jaxcnn.tensors;
  // Values of the unrolled windows held at a time: 1 MB stays in the cache of the second level.
  const MOST_COLUMNS = 1 << 18;
  let columns = new Float32Array(0);

  /* out[m, p] = start[m] + sum over k of a[m, k] * b[k, p]; eight rows of b at a time, so that an
     output is loaded and stored once for eight products. */
  function product(a, aStart, b, bStart, bStep, out, outStart, outStep, m, k, p, start, startAt) {
    for (let i = 0; i < m; i++) {
      const o = outStart + i * outStep;
      out.fill(start ? start[startAt + i] : 0, o, o + p);
      let w = aStart + i * k;
      let j = 0;
      for (; j + 8 <= k; j += 8, w += 8) {
        const w0 = a[w], w1 = a[w + 1], w2 = a[w + 2], w3 = a[w + 3];
        const w4 = a[w + 4], w5 = a[w + 5], w6 = a[w + 6], w7 = a[w + 7];
        const r0 = bStart + j * bStep, r1 = r0 + bStep, r2 = r1 + bStep, r3 = r2 + bStep;
        const r4 = r3 + bStep, r5 = r4 + bStep, r6 = r5 + bStep, r7 = r6 + bStep;
        for (let x = 0; x < p; x++) {
          out[o + x] += w0 * b[r0 + x] + w1 * b[r1 + x] + w2 * b[r2 + x] + w3 * b[r3 + x] +
            w4 * b[r4 + x] + w5 * b[r5 + x] + w6 * b[r6 + x] + w7 * b[r7 + x];
        }
      }
      for (; j < k; j++, w++) {
        const w0 = a[w];
        const r0 = bStart + j * bStep;
        for (let x = 0; x < p; x++) out[o + x] += w0 * b[r0 + x];
      }
    }
  }

  /* Height and width of windows; one axis becomes one row. */
  function plane(shape, op) {
    if (shape.length === 4) return shape;
    if (shape.length === 3) return [shape[0], shape[1], 1, shape[2]];
    throw new Error(`${op} takes 1 or 2 spatial axes. Received: shape [${shape}]`);
  }

  function windows(x, attributes, kernel) {
    const flat = x.shape.length === 3;
    const pair = (values, missing) => (values ? (flat ? [missing, ...values] : values) : [missing, missing]);
    const [kh, kw] = flat ? [1, kernel[kernel.length - 1]] : kernel;
    const [sy, sx] = pair(attributes.strides, 1);
    const [dy, dx] = pair(attributes.dilations, 1);
    const pads = attributes.pads || (flat ? [0, 0] : [0, 0, 0, 0]);
    let [top, left, bottom, right] = flat ? [0, pads[0], 0, pads[1]] : pads;
    const [, , h, w] = plane(x.shape, 'the operator');
    const auto = attributes.auto_pad || 'NOTSET';
    if (auto !== 'NOTSET' && auto !== 'VALID') {
      throw new Error(`auto_pad must be NOTSET. Received: ${auto}`);
    }
    const [ey, ex] = [(kh - 1) * dy + 1, (kw - 1) * dx + 1];
    const round = attributes.ceil_mode ? Math.ceil : Math.floor;
    const oh = round((h + top + bottom - ey) / sy) + 1;
    const ow = round((w + left + right - ex) / sx) + 1;
    return { kh, kw, sy, sx, dy, dx, top, left, bottom, right, h, w, oh, ow, flat };
  }

  const outputShape = (n, c, g) => (g.flat ? [n, c, g.ow] : [n, c, g.oh, g.ow]);

  /* Rows y0…y1 of the output: the value of each window for each channel and place in the kernel. */
  function unroll(data, start, channels, g, y0, y1) {
    const { kh, kw, sy, sx, dy, dx, top, left, h, w, ow } = g;
    let at = 0;
    for (let c = 0; c < channels; c++) {
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          for (let y = y0; y < y1; y++) {
            const row = y * sy + ky * dy - top;
            if (row < 0 || row >= h) {
              columns.fill(0, at, at + ow);
              at += ow;
              continue;
            }
            const from = start + (c * h + row) * w;
            for (let x = 0, column = kx * dx - left; x < ow; x++, column += sx) {
              columns[at++] = column >= 0 && column < w ? data[from + column] : 0;
            }
          }
        }
      }
    }
  }

  operators.Conv = function ([x, kernel, bias], attributes) {
    const [n, c] = plane(x.shape, 'Conv');
    const group = attributes.group || 1;
    const g = windows(x, attributes, kernel.shape.slice(2));
    const m = kernel.shape[0];
    const [cg, mg] = [c / group, m / group];
    const k = cg * g.kh * g.kw;
    const output = tensor(outputShape(n, m, g));
    const area = g.oh * g.ow;
    // A 1x1 kernel without strides and padding reads the input as it is.
    const direct = g.kh * g.kw * g.sy * g.sx === 1 && !(g.top || g.left || g.bottom || g.right);
    const rows = Math.min(g.oh, Math.max(1, Math.floor(MOST_COLUMNS / (k * g.ow))));
    if (!direct && columns.length < k * rows * g.ow) columns = new Float32Array(k * rows * g.ow);
    const start = bias ? bias.data : null;
    const run = () => {
      for (let part = 0; part < n * group; part++) {
        const at = part % group;
        const from = part * cg * g.h * g.w;
        const to = part * mg * area;
        if (direct) {
          product(kernel.data, at * mg * k, x.data, from, area, output.data, to, area, mg, k, area, start, at * mg);
          continue;
        }
        for (let y = 0; y < g.oh; y += rows) {
          const end = Math.min(g.oh, y + rows);
          const count = (end - y) * g.ow;
          unroll(x.data, from, cg, g, y, end);
          product(kernel.data, at * mg * k, columns, 0, count, output.data, to + y * g.ow, area, mg, k, count, start, at * mg);
        }
      }
    };
    return { output, run };
  };

  function pool(reduce) {
    return function ([x], attributes) {
      const [n, c] = plane(x.shape, 'a pool');
      const g = windows(x, attributes, attributes.kernel_shape);
      const output = tensor(outputShape(n, c, g));
      const run = () => {
        let at = 0;
        for (let part = 0; part < n * c; part++) {
          const from = part * g.h * g.w;
          for (let y = 0; y < g.oh; y++) {
            for (let column = 0; column < g.ow; column++) {
              output.data[at++] = reduce(x.data, from, y * g.sy - g.top, column * g.sx - g.left, g, attributes);
            }
          }
        }
      };
      return { output, run };
    };
  }

  operators.MaxPool = pool((data, from, y0, x0, g) => {
    let largest = -Infinity;
    for (let ky = 0; ky < g.kh; ky++) {
      const y = y0 + ky * g.dy;
      if (y < 0 || y >= g.h) continue;
      for (let kx = 0; kx < g.kw; kx++) {
        const x = x0 + kx * g.dx;
        if (x >= 0 && x < g.w && data[from + y * g.w + x] > largest) largest = data[from + y * g.w + x];
      }
    }
    return largest;
  });

  operators.AveragePool = pool((data, from, y0, x0, g, attributes) => {
    let sum = 0;
    let count = 0;
    for (let ky = 0; ky < g.kh; ky++) {
      const y = y0 + ky * g.dy;
      for (let kx = 0; kx < g.kw; kx++) {
        const x = x0 + kx * g.dx;
        const inside = y >= 0 && y < g.h && x >= 0 && x < g.w;
        if (inside) sum += data[from + y * g.w + x];
        // Padding counts if it is asked for; what ceil_mode adds beyond it never does.
        const padded = y < g.h + g.bottom && x < g.w + g.right;
        if (inside || (attributes.count_include_pad && padded)) count++;
      }
    }
    return sum / count;
  });

  function globalPool(reduce) {
    return function ([x]) {
      const output = tensor([x.shape[0], x.shape[1], ...x.shape.slice(2).map(() => 1)]);
      const area = size(x.shape.slice(2));
      const run = () => {
        for (let i = 0; i < output.data.length; i++) output.data[i] = reduce(x.data, i * area, area);
      };
      return { output, run };
    };
  }

  operators.GlobalAveragePool = globalPool((data, from, count) => {
    let sum = 0;
    for (let i = from; i < from + count; i++) sum += data[i];
    return sum / count;
  });
  operators.GlobalMaxPool = globalPool((data, from, count) => {
    let largest = -Infinity;
    for (let i = from; i < from + count; i++) if (data[i] > largest) largest = data[i];
    return largest;
  });

  operators.Gemm = function ([a, b, c], { alpha = 1, beta = 1, transA = 0, transB = 0 }) {
    if (transA) throw new Error(`transA must be 0. Received: ${transA}`);
    const [m, k] = a.shape;
    const n = transB ? b.shape[0] : b.shape[1];
    const output = tensor([m, n]);
    const added = c ? positions([m, n], strides(c.shape, 2)) : null;
    const [kStep, nStep] = transB ? [1, k] : [n, 1];
    const run = () => {
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let x = 0; x < k; x++) sum += a.data[i * k + x] * b.data[x * kStep + j * nStep];
          output.data[i * n + j] = alpha * sum + (added ? beta * c.data[added[i * n + j]] : 0);
        }
      }
    };
    return { output, run };
  };

  operators.MatMul = function ([a, b]) {
    if (a.shape.length < 2 || b.shape.length < 2) throw new Error('MatMul takes matrices');
    const [m, k] = a.shape.slice(-2);
    const n = b.shape[b.shape.length - 1];
    const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const output = tensor([...batch, m, n]);
    const aAt = positions(batch, strides(a.shape.slice(0, -2), batch.length));
    const bAt = positions(batch, strides(b.shape.slice(0, -2), batch.length));
    const run = () => {
      for (let i = 0; i < aAt.length; i++) {
        product(a.data, aAt[i] * m * k, b.data, bAt[i] * k * n, n, output.data, i * m * n, n, m, k, n, null, 0);
      }
    };
    return { output, run };
  };
})();
