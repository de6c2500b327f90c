/* Drawings and camera pictures in the form of the network's inputs: as jaxcnn prepares a picture
   that is not one of the data set, see jaxcnn/data/decoding/framing.py. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  // A network without a framing: strokes as in MNIST.
  const USUAL = { background: 0, extent: 20 / 28, contrast: 255, ink: 0.13 };
  // Pixels that differ from the background by this share of the contrast belong to the subject.
  const SUBJECT_SHARE = 0.25;
  // A line of a digit is about 2.5 times as long as its extent, so ink = 2.5 · extent · width. Of this
  // width, 2 pixels in MNIST and 1 in the embedded digits, these shares are the least and the most: a
  // thin 1 has less ink than an 8, and is not widened without end.
  const [LENGTH, NARROW, WIDE] = [2.5, 0.75, 1.9];
  const HALVINGS = 6; // of the range of widths
  // Subjects of a picture are thickened at this multiple of the set's resolution, by at most two pixels
  // of the set on each side; a frame of the camera has time for a side of so many pixels.
  const [DETAIL, MOST_DETAILED] = [8, 128];
  const LEAST_CONTRAST = 16;
  const SIDE = 160; // of the middle of a camera picture

  // Pillow's other filters: width of one side, and weight at a distance.
  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const FILTERS = {
    bilinear: [1, (x) => 1 - x],
    bicubic: [2, (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2)],
    lanczos: [3, (x) => sinc(x) * sinc(x / 3)],
  };

  function surface(width, height) {
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    return { canvas, context, levels: () => context.getImageData(0, 0, width, height).data };
  }

  /* For each of `to` places the first of `from` places that it reads, and the weights from there. */
  function taps(from, to, interpolation) {
    const scale = Math.max(from / to, 1);
    let center = -0.5 * (from / to);
    return Array.from({ length: to }, () => {
      center += from / to; // added up, as Pillow does, whose nearest pixel is decided by its rounding
      if (interpolation === 'nearest') return { first: Math.floor(center), weights: [1] };
      const [reach, weightAt] = FILTERS[interpolation];
      const first = Math.max(0, Math.floor(center - reach * scale + 0.5));
      const end = Math.min(from, Math.floor(center + reach * scale + 0.5));
      const weights = Array.from({ length: end - first }, (_w, j) => weightAt(Math.abs(first + j + 0.5 - center) / scale));
      const sum = weights.reduce((a, b) => a + b, 0);
      return { first, weights: weights.map((weight) => weight / sum) };
    });
  }

  const level = (value) => Math.round(Math.min(255, Math.max(0, value)));

  /* One plane of levels with its rows resized. */
  function resizeRows({ data, height, width }, columns, interpolation) {
    const resized = new Float32Array(height * columns);
    taps(width, columns, interpolation).forEach(({ first, weights }, x) => {
      for (let y = 0; y < height; y++) {
        let sum = 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j] * data[y * width + first + j];
        resized[y * columns + x] = level(sum);
      }
    });
    return { data: resized, height, width: columns };
  }

  function turned({ data, height, width }) {
    return { data: data.map((_, i) => data[(i % height) * width + Math.floor(i / height)]), height: width, width: height };
  }

  /** Return a plane {data, height, width} of levels 0…255 in another size, as Pillow resizes. */
  Jaxcnn.resizePlane = function (plane, height, width, interpolation = 'bilinear') {
    if (plane.height === height && plane.width === width) return plane;
    return turned(resizeRows(turned(resizeRows(plane, width, interpolation)), height, interpolation));
  };

  const framingOf = (framing) => (framing && typeof framing.background === 'number' ? framing : USUAL);

  /* Levels 0…255 in the size in which the set is stored become pixels of `shape`: on the background
     of the set, and resized as the set was. */
  function pixelsOf(plane, [rows, columns, channels], { background, contrast, interpolation }) {
    const sign = background < 128 ? 1 : -1;
    const data = plane.data.map((share) => level(background + sign * contrast * share / 255));
    const resized = Jaxcnn.resizePlane({ ...plane, data }, rows, columns, interpolation).data;
    return Float32Array.from({ length: resized.length * channels }, (_, i) => resized[Math.floor(i / channels)]);
  }

  const inkOf = ({ data }) => data.reduce((sum, share) => sum + share, 0) / data.length / 255;

  /** Return a function from strokes (lists of points [x, y]) to pixels of `shape`: centered and
      scaled to the extent of the framing, with the width of line that gives its share of ink. */
  Jaxcnn.strokeFramer = function (shape, given) {
    const framing = framingOf(given);
    const [height, width] = framing.shape || shape;
    const small = surface(width, height);
    const render = (strokes, line, box) => {
      const inner = [width * framing.extent - line, height * framing.extent - line];
      const sides = [box[2] - box[0], box[3] - box[1]];
      const scale = Math.min(...sides.map((side, i) => (side ? Math.max(inner[i], 1) / side : Infinity)));
      const [mx, my] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
      const by = Number.isFinite(scale) ? scale : 1;
      small.context.fillStyle = '#000';
      small.context.fillRect(0, 0, width, height);
      small.context.strokeStyle = '#fff';
      Jaxcnn.traceStrokes(small.context, strokes, ([x, y]) => [width / 2 + (x - mx) * by, height / 2 + (y - my) * by], line);
      const data = small.levels();
      return { data: Float32Array.from({ length: width * height }, (_, i) => data[4 * i]), height, width };
    };
    return function (strokes) {
      const points = strokes.flat();
      if (!points.length) return pixelsOf({ data: new Float32Array(width * height), height, width }, shape, framing);
      const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
      const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
      const usual = framing.ink * Math.min(width, height) / (LENGTH * framing.extent);
      let [low, high] = [NARROW * usual, WIDE * usual];
      let plane;
      for (let i = 0; i < HALVINGS; i++) {
        const line = (low + high) / 2;
        plane = render(strokes, line, box);
        if (inkOf(plane) < framing.ink) low = line;
        else high = line;
      }
      return pixelsOf(plane, shape, framing);
    };
  };

  /* The largest of each value and its eight neighbors. */
  function grown(plane) {
    const across = ({ data, height, width }) => ({
      data: data.map((value, i) => Math.max(value, i % width ? data[i - 1] : 0, (i + 1) % width ? data[i + 1] : 0)), height, width });
    return turned(across(turned(across(plane))));
  }

  function cut({ data, width }, top, bottom, left, right) {
    const [height, wide] = [bottom - top, right - left];
    return { data: Float32Array.from({ length: height * wide }, (_, i) => (
      data[(top + Math.floor(i / wide)) * width + left + (i % wide)])), height, width: wide };
  }

  /* A subject in a frame of zeros, with a margin around that. */
  function pasted(subject, height, width) {
    const data = new Float32Array(height * width);
    const [top, left] = [(height - subject.height) >> 1, (width - subject.width) >> 1];
    for (let y = 0; y < subject.height; y++) {
      data.set(subject.data.subarray(y * subject.width, (y + 1) * subject.width), (top + y) * width + left);
    }
    return { data, height, width };
  }

  /* The subject at the usual extent of a frame, thickened until it has the usual ink. */
  function drawn(subject, height, width, framing) {
    const fit = (plane, detail) => {
      const scale = detail * framing.extent * Math.min(height / plane.height, width / plane.width);
      const [high, wide] = [plane.height, plane.width].map((side) => Math.max(Math.round(side * scale), 1));
      return Jaxcnn.resizePlane(plane, high, wide);
    };
    const detail = Math.max(1, Math.min(DETAIL, Math.floor(MOST_DETAILED / Math.max(height, width))));
    const most = 2 * detail;
    const large = fit(subject, detail);
    let thick = pasted(large, large.height + 2 * most, large.width + 2 * most);
    let best = null;
    for (let growth = 0; growth <= most; growth++) {
      const inside = cut(thick, most - growth, thick.height - most + growth, most - growth, thick.width - most + growth);
      const plane = pasted(fit(inside, 1), height, width);
      const away = Math.abs(inkOf(plane) - framing.ink);
      if (best && best.away <= away) break;
      best = { plane, away };
      thick = grown(thick);
    }
    return best.plane;
  }

  /* The differences from the border's median, cut to the subject, with 255 the largest; or null. */
  function subjectOf({ data, height, width }) {
    const border = data.filter((_, i) => i < width || i >= data.length - width || i % width === 0 || i % width === width - 1);
    const middle = border.sort()[border.length >> 1];
    const differences = data.map((value) => Math.abs(value - middle));
    const largest = Jaxcnn.largest(differences);
    if (largest < LEAST_CONTRAST) return null;
    let [left, top, right, bottom] = [width, height, 0, 0];
    // What differs less is the paper, or the noise of the camera.
    const shares = differences.map((value, i) => {
      if (value < SUBJECT_SHARE * largest) return 0;
      const [x, y] = [i % width, Math.floor(i / width)];
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), Math.max(bottom, y + 1)];
      return 255 * value / largest;
    });
    return cut({ data: shares, width }, top, bottom, left, right);
  }

  /** Return a function from an image or video to pixels of `shape`: of a set with a uniform
      background the subject is cropped, centered and scaled; of others the middle is taken. */
  Jaxcnn.pictureFramer = function (shape, framing) {
    const uniform = framing && typeof framing.background === 'number';
    const [rows, columns, channels] = shape;
    const middle = uniform ? surface(SIDE, SIDE) : surface(columns, rows);
    middle.context.imageSmoothingQuality = 'high';
    return function (source) {
      const [w, h] = [source.videoWidth || source.width, source.videoHeight || source.height];
      const side = Math.min(w, h);
      middle.context.drawImage(source, (w - side) / 2, (h - side) / 2, side, side, 0, 0, middle.canvas.width, middle.canvas.height);
      const data = middle.levels();
      const gray = (i) => 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
      if (!uniform) {
        return Float32Array.from({ length: rows * columns * channels }, (_, i) => (
          channels === 3 ? data[4 * Math.floor(i / 3) + (i % 3)] : Math.round(gray(i))));
      }
      const [height, width] = framing.shape;
      const subject = subjectOf({ data: Float32Array.from({ length: SIDE * SIDE }, (_, i) => gray(i)), height: SIDE, width: SIDE });
      const plane = subject ? drawn(subject, height, width, framing) : { data: new Float32Array(height * width), height, width };
      return pixelsOf(plane, shape, framing);
    };
  };
})();
