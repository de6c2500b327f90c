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

  /* Depth, height and width of windows; axes that x has not are of size 1. */
  function windowsOf(x, attributes, kernel) {
    const axes = x.shape.length - 2;
    if (axes < 1 || axes > 3) throw new Error(`windows have 1 to 3 axes. Received: shape [${x.shape}]`);
    const auto = attributes.auto_pad || 'NOTSET';
    if (auto !== 'NOTSET' && auto !== 'VALID') throw new Error(`auto_pad must be NOTSET. Received: ${auto}`);
    const all = (values, missing) => [...new Array(3 - axes).fill(missing), ...(values || new Array(axes).fill(missing))];
    const pads = attributes.pads || new Array(2 * axes).fill(0);
    const [d, h, w] = all(x.shape.slice(2), 1);
    const [kd, kh, kw] = all(kernel, 1);
    const [sz, sy, sx] = all(attributes.strides, 1);
    const [dz, dy, dx] = all(attributes.dilations, 1);
    const [front, top, left] = all(pads.slice(0, axes), 0);
    const [back, bottom, right] = all(pads.slice(axes), 0);
    return { axes, d, h, w, kd, kh, kw, sz, sy, sx, dz, dy, dx, front, top, left, back, bottom, right };
  }

  /* The windows of a convolution or a pool, and the size of their output. */
  function outputWindows(x, attributes, kernel) {
    const g = windowsOf(x, attributes, kernel);
    const round = attributes.ceil_mode ? Math.ceil : Math.floor;
    const count = (side, pads, taps, dilation, stride) => round((side + pads - (taps - 1) * dilation - 1) / stride) + 1;
    g.od = count(g.d, g.front + g.back, g.kd, g.dz, g.sz);
    g.oh = count(g.h, g.top + g.bottom, g.kh, g.dy, g.sy);
    g.ow = count(g.w, g.left + g.right, g.kw, g.dx, g.sx);
    return g;
  }

  const outputShape = (n, c, g) => [n, c, ...[g.od, g.oh, g.ow].slice(3 - g.axes)];

  /* Rows y0…y1 of plane z of the output: the value of each window for each channel and place in the
     kernel. */
  function unroll(data, start, channels, g, z, y0, y1) {
    const { kd, kh, kw, sz, sy, sx, dz, dy, dx, front, top, left, d, h, w, ow } = g;
    let at = 0;
    for (let c = 0; c < channels; c++) {
      for (let kz = 0; kz < kd; kz++) {
        const slice = z * sz + kz * dz - front;
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            for (let y = y0; y < y1; y++) {
              const row = y * sy + ky * dy - top;
              if (slice < 0 || slice >= d || row < 0 || row >= h) {
                columns.fill(0, at, at + ow);
                at += ow;
                continue;
              }
              const from = start + ((c * d + slice) * h + row) * w;
              for (let x = 0, column = kx * dx - left; x < ow; x++, column += sx) {
                columns[at++] = column >= 0 && column < w ? data[from + column] : 0;
              }
            }
          }
        }
      }
    }
  }

  operators.Conv = function ([x, kernel, bias], attributes) {
    const [n, c] = x.shape;
    const group = attributes.group || 1;
    const g = outputWindows(x, attributes, kernel.shape.slice(2));
    const m = kernel.shape[0];
    const [cg, mg] = [c / group, m / group];
    const k = cg * g.kd * g.kh * g.kw;
    const output = tensor(outputShape(n, m, g));
    const area = g.od * g.oh * g.ow;
    const sides = g.front + g.back + g.top + g.left + g.bottom + g.right;
    // A 1x1 kernel without strides and padding reads the input as it is.
    const direct = g.kd * g.kh * g.kw * g.sz * g.sy * g.sx === 1 && !sides;
    const rows = Math.min(g.oh, Math.max(1, Math.floor(MOST_COLUMNS / (k * g.ow))));
    if (!direct && columns.length < k * rows * g.ow) columns = new Float32Array(k * rows * g.ow);
    const start = bias ? bias.data : null;
    const run = () => {
      for (let part = 0; part < n * group; part++) {
        const at = part % group;
        const from = part * cg * g.d * g.h * g.w;
        const to = part * mg * area;
        if (direct) {
          product(kernel.data, at * mg * k, x.data, from, area, output.data, to, area, mg, k, area, start, at * mg);
          continue;
        }
        for (let z = 0; z < g.od; z++) {
          for (let y = 0; y < g.oh; y += rows) {
            const end = Math.min(g.oh, y + rows);
            const count = (end - y) * g.ow;
            unroll(x.data, from, cg, g, z, y, end);
            const place = to + (z * g.oh + y) * g.ow;
            product(kernel.data, at * mg * k, columns, 0, count, output.data, place, area, mg, k, count, start, at * mg);
          }
        }
      }
    };
    return { output, run };
  };

  /* Each value of x, times the kernel, is added to the output around its place. */
  operators.ConvTranspose = function ([x, kernel, bias], attributes) {
    const [n, c] = x.shape;
    const group = attributes.group || 1;
    const g = windowsOf(x, attributes, kernel.shape.slice(2));
    const added = attributes.output_padding || new Array(g.axes).fill(0);
    const [az, ay, ax] = [...new Array(3 - g.axes).fill(0), ...added];
    g.od = (g.d - 1) * g.sz + (g.kd - 1) * g.dz + 1 + az - g.front - g.back;
    g.oh = (g.h - 1) * g.sy + (g.kh - 1) * g.dy + 1 + ay - g.top - g.bottom;
    g.ow = (g.w - 1) * g.sx + (g.kw - 1) * g.dx + 1 + ax - g.left - g.right;
    const [cg, mg] = [c / group, kernel.shape[1]];
    const output = tensor(outputShape(n, mg * group, g));
    const [volume, taps] = [g.od * g.oh * g.ow, g.kd * g.kh * g.kw];
    const places = new Int32Array(g.d * g.h * g.w * taps);
    let i = 0;
    for (let z = -g.front; z < g.d * g.sz - g.front; z += g.sz) {
      for (let y = -g.top; y < g.h * g.sy - g.top; y += g.sy) {
        for (let column = -g.left; column < g.w * g.sx - g.left; column += g.sx) {
          for (let tap = 0; tap < taps; tap++) {
            const oz = z + Math.floor(tap / (g.kh * g.kw)) * g.dz;
            const oy = y + (Math.floor(tap / g.kw) % g.kh) * g.dy;
            const ox = column + (tap % g.kw) * g.dx;
            const inside = oz >= 0 && oz < g.od && oy >= 0 && oy < g.oh && ox >= 0 && ox < g.ow;
            places[i++] = inside ? (oz * g.oh + oy) * g.ow + ox : -1;
          }
        }
      }
    }
    const run = () => {
      for (let part = 0; part < n * mg * group; part++) {
        const feature = part % (mg * group);
        const [m, first] = [feature % mg, Math.floor(feature / mg) * cg];
        const to = part * volume;
        output.data.fill(bias ? bias.data[feature] : 0, to, to + volume);
        for (let channel = first; channel < first + cg; channel++) {
          const from = (Math.floor(part / (mg * group)) * c + channel) * (places.length / taps);
          const weights = (channel * mg + m) * taps;
          for (let at = 0; at < places.length; at++) {
            if (places[at] < 0) continue;
            output.data[to + places[at]] += x.data[from + Math.floor(at / taps)] * kernel.data[weights + (at % taps)];
          }
        }
      }
    };
    return { output, run };
  };

  function pool(start, step, finish) {
    return function ([x], attributes) {
      const [n, c] = x.shape;
      const g = outputWindows(x, attributes, attributes.kernel_shape);
      const output = tensor(outputShape(n, c, g));
      const reduce = (from, z0, y0, x0) => {
        let value = start;
        let count = 0;
        for (let kz = 0; kz < g.kd; kz++) {
          const z = z0 + kz * g.dz;
          for (let ky = 0; ky < g.kh; ky++) {
            const y = y0 + ky * g.dy;
            for (let kx = 0; kx < g.kw; kx++) {
              const column = x0 + kx * g.dx;
              const inside = z >= 0 && z < g.d && y >= 0 && y < g.h && column >= 0 && column < g.w;
              if (inside) value = step(value, x.data[from + (z * g.h + y) * g.w + column]);
              // Padding counts if it is asked for; what ceil_mode adds beyond it never does.
              const padded = z < g.d + g.back && y < g.h + g.bottom && column < g.w + g.right;
              if (inside || (attributes.count_include_pad && padded)) count++;
            }
          }
        }
        return finish(value, count);
      };
      const run = () => {
        let at = 0;
        for (let part = 0; part < n * c; part++) {
          const from = part * g.d * g.h * g.w;
          for (let z = -g.front; z < g.od * g.sz - g.front; z += g.sz) {
            for (let y = -g.top; y < g.oh * g.sy - g.top; y += g.sy) {
              for (let column = -g.left; column < g.ow * g.sx - g.left; column += g.sx) {
                output.data[at++] = reduce(from, z, y, column);
              }
            }
          }
        }
      };
      return { output, run };
    };
  }

  operators.MaxPool = pool(-Infinity, (a, b) => (b > a ? b : a), (largest) => largest);
  operators.AveragePool = pool(0, (a, b) => a + b, (sum, count) => sum / count);

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
