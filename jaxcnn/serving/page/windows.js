/* The arithmetic of the kernel explorer: windows, convolution, ReLU and pooling of planes.
 * A plane is {data: Float32Array, rows, columns}, one channel in the unit of its picture. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  const images = new WeakMap(); // the pixels of each canvas, which are written again and again

  /** Return ⌊(n − f + 2·pad) / stride⌋ + 1; below 1 the window does not fit. */
  Jaxcnn.outputSize = function (size, window, pad, stride) {
    return Math.floor((size - window + 2 * pad) / stride) + 1;
  };

  /** Return the formula of height and width with its numbers, in one line if they are equal. */
  Jaxcnn.sizeFormula = function (rows, columns, window, pad, stride) {
    const side = (name, size) => `${name} = ⌊(${size} − ${window} + 2·${pad}) / ${stride}⌋ + 1 = `
      + Jaxcnn.numberText(Math.max(Jaxcnn.outputSize(size, window, pad, stride), 0));
    return rows === columns ? [side('n_H = n_W', rows)] : [side('n_H', rows), side('n_W', columns)];
  };

  /** Return the kernel as it lies on the picture: turned by 180° for the convolution of mathematics. */
  Jaxcnn.applied = function (weights, isFlipped) {
    return isFlipped ? weights.slice().reverse() : weights;
  };

  /** Return the cross-correlation of a plane with a square kernel, whose weights are row by row. */
  Jaxcnn.convolve = function (plane, weights, options) {
    const { size, pad, stride, bias } = options;
    const rows = Jaxcnn.outputSize(plane.rows, size, pad, stride);
    const columns = Jaxcnn.outputSize(plane.columns, size, pad, stride);
    if (rows < 1 || columns < 1) return { data: new Float32Array(0), rows: 0, columns: 0 };
    const data = new Float32Array(rows * columns).fill(bias);
    const source = plane.data;
    // Weight by weight, the rows of the picture that it meets: the inner loop has no border.
    for (let a = 0; a < size; a += 1) {
      for (let b = 0; b < size; b += 1) {
        const weight = weights[a * size + b];
        if (weight === 0) continue;
        const first = Math.max(0, Math.ceil((pad - b) / stride));
        const last = Math.min(columns, Math.floor((plane.columns - 1 + pad - b) / stride) + 1);
        for (let row = 0; row < rows; row += 1) {
          const y = row * stride + a - pad;
          if (y < 0 || y >= plane.rows) continue;
          let from = y * plane.columns + first * stride + b - pad;
          const end = row * columns + last;
          for (let to = row * columns + first; to < end; to += 1) {
            data[to] += weight * source[from];
            from += stride;
          }
        }
      }
    }
    return { data, rows, columns };
  };

  /** Set negative values of a plane to zero. */
  Jaxcnn.rectify = function (plane) {
    const { data } = plane;
    for (let place = 0; place < data.length; place += 1) if (data[place] < 0) data[place] = 0;
    return plane;
  };

  /** Return the largest or the mean value of each window of a plane. */
  Jaxcnn.pool = function (plane, kind, size, stride) {
    const rows = Jaxcnn.outputSize(plane.rows, size, 0, stride);
    const columns = Jaxcnn.outputSize(plane.columns, size, 0, stride);
    if (rows < 1 || columns < 1) return { data: new Float32Array(0), rows: 0, columns: 0 };
    const data = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        let largest = -Infinity;
        let sum = 0;
        for (let a = 0; a < size; a += 1) {
          const start = (row * stride + a) * plane.columns + column * stride;
          for (let place = start; place < start + size; place += 1) {
            sum += plane.data[place];
            if (plane.data[place] > largest) largest = plane.data[place];
          }
        }
        data[row * columns + column] = kind === 'max' ? largest : sum / (size * size);
      }
    }
    return { data, rows, columns };
  };

  /** Return the values under a window that begins at (top, left); zeros outside of the plane. */
  Jaxcnn.patch = function (plane, top, left, size) {
    const values = [];
    for (let y = top; y < top + size; y += 1) {
      for (let x = left; x < left + size; x += 1) {
        const isInside = y >= 0 && y < plane.rows && x >= 0 && x < plane.columns;
        values.push(isInside ? plane.data[y * plane.columns + x] : 0);
      }
    }
    return values;
  };

  /** Return the planes of RGBA pixels: three colors, or gray as Pillow's `convert("L")` makes it. */
  Jaxcnn.planesOf = function (image, isColor) {
    const { data, width: columns, height: rows } = image;
    const count = rows * columns;
    const planes = Array.from({ length: isColor ? 3 : 1 }, () => ({
      data: new Float32Array(count), rows, columns,
    }));
    if (isColor) {
      for (let channel = 0; channel < 3; channel += 1) {
        const target = planes[channel].data;
        for (let place = 0; place < count; place += 1) target[place] = data[4 * place + channel];
      }
    } else {
      const target = planes[0].data;
      for (let place = 0, at = 0; place < count; place += 1, at += 4) {
        target[place] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 32768) >>> 16;
      }
    }
    return planes;
  };

  /** Write planes as pixels; with `signed` zero is gray, otherwise black, and `white` is white. */
  Jaxcnn.paint = function (canvas, planes, white, signed) {
    const { rows, columns } = planes[0];
    if (canvas.width !== Math.max(columns, 1)) canvas.width = Math.max(columns, 1);
    if (canvas.height !== Math.max(rows, 1)) canvas.height = Math.max(rows, 1);
    const context = canvas.getContext('2d');
    if (!rows || !columns) {
      context.clearRect(0, 0, 1, 1);
      return;
    }
    let image = images.get(canvas);
    if (!image || image.width !== columns || image.height !== rows) {
      image = context.createImageData(columns, rows);
      images.set(canvas, image);
    }
    const scale = (signed ? 127.5 : 255) / white;
    const middle = (signed ? 127.5 : 0) + 0.5;
    const sources = [0, 1, 2].map((channel) => planes[planes.length === 3 ? channel : 0].data);
    if (planes.length === 1) { // a pixel is one number: half the time of four bytes
      const pixels = new Uint32Array(image.data.buffer);
      const [gray] = sources;
      for (let place = 0; place < gray.length; place += 1) {
        const level = middle + gray[place] * scale;
        pixels[place] = 0xff000000 + 0x010101 * (level < 0 ? 0 : level > 255 ? 255 : level | 0);
      }
    } else {
      const pixels = image.data; // clamped to 0…255
      const [red, green, blue] = sources;
      for (let place = 0, at = 0; place < red.length; place += 1, at += 4) {
        pixels[at] = middle - 0.5 + red[place] * scale;
        pixels[at + 1] = middle - 0.5 + green[place] * scale;
        pixels[at + 2] = middle - 0.5 + blue[place] * scale;
        pixels[at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  };
})();
