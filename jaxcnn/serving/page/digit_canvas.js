/* Drawings and camera pictures in the form of the network's inputs. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  // A network without a framing: strokes as in MNIST.
  const USUAL = { background: 0, extent: 20 / 28, contrast: 255, ink: 0.13 };
  // Pixels that differ from the background by this share of the contrast belong to the subject.
  const SUBJECT_SHARE = 0.25;

  function surface(width, height) {
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    return { canvas, context, levels: () => context.getImageData(0, 0, width, height).data };
  }

  function trace(context, strokes, place, width) {
    context.lineCap = context.lineJoin = 'round';
    context.lineWidth = width;
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach((point, i) => {
        const [x, y] = place(point);
        if (i) context.lineTo(x, y);
        // A single point is drawn as a line to itself.
        else { context.moveTo(x, y); context.lineTo(x, y); }
      });
      context.stroke();
    }
  }

  /* Shares of the contrast become pixels on the background of the set, in all channels. */
  function pixelsOf(shares, shape, framing) {
    const channels = shape[2];
    const pixels = new Float32Array(shares.length * channels);
    const sign = framing.background < 128 ? 1 : -1;
    for (let i = 0; i < pixels.length; i++) {
      const level = framing.background + sign * framing.contrast * shares[Math.floor(i / channels)];
      pixels[i] = Math.round(Math.min(255, Math.max(0, level)));
    }
    return pixels;
  }

  const framingOf = (framing) => (framing && typeof framing.background === 'number' ? framing : USUAL);

  /** Return a function from strokes (lists of points [x, y]) to pixels of `shape`: centered and
      scaled to the extent of the framing, with the width of line that gives its share of ink. */
  Jaxcnn.strokeFramer = function (shape, given) {
    const framing = framingOf(given);
    const [height, width] = shape;
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
      trace(small.context, strokes, ([x, y]) => [width / 2 + (x - mx) * by, height / 2 + (y - my) * by], line);
      const data = small.levels();
      return Float32Array.from({ length: width * height }, (_, i) => data[4 * i] / 255);
    };
    return function (strokes) {
      const points = strokes.flat();
      if (!points.length) return pixelsOf(new Float32Array(width * height), shape, framing);
      const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
      const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
      // The line as drawn is the middle; a thin 1 has less ink than an 8, so it is not widened without end.
      let [low, high] = [Math.min(width, height) * 0.055, Math.min(width, height) * 0.14];
      let shares;
      for (let i = 0; i < 4; i++) {
        const line = (low + high) / 2;
        shares = render(strokes, line, box);
        const ink = shares.reduce((sum, share) => sum + share, 0) / shares.length;
        if (ink < framing.ink) low = line;
        else high = line;
      }
      return pixelsOf(shares, shape, framing);
    };
  };

  /** Return a function from an image or video to pixels of `shape`: of a set with a uniform
      background the subject is cropped, centered and scaled; of others the middle is taken. */
  Jaxcnn.pictureFramer = function (shape, framing) {
    const [height, width, channels] = shape;
    const small = surface(width, height);
    const large = surface(160, 160);
    const uniform = framing && typeof framing.background === 'number';
    const middle = (target, source) => {
      const [w, h] = [source.videoWidth || source.width, source.videoHeight || source.height];
      const side = Math.min(w, h);
      target.context.drawImage(source, (w - side) / 2, (h - side) / 2, side, side, 0, 0, target.canvas.width, target.canvas.height);
    };
    return function (source) {
      if (!uniform) {
        middle(small, source);
        const data = small.levels();
        return Float32Array.from({ length: width * height * channels }, (_, i) => {
          const at = 4 * Math.floor(i / channels);
          if (channels === 3) return data[at + (i % 3)];
          return Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
        });
      }
      middle(large, source);
      const image = large.context.getImageData(0, 0, 160, 160);
      const gray = new Float32Array(160 * 160);
      for (let i = 0; i < gray.length; i++) {
        gray[i] = 0.299 * image.data[4 * i] + 0.587 * image.data[4 * i + 1] + 0.114 * image.data[4 * i + 2];
      }
      const border = [];
      for (let i = 0; i < 160; i++) border.push(gray[i], gray[159 * 160 + i], gray[160 * i], gray[160 * i + 159]);
      const level = border.sort((a, b) => a - b)[border.length >> 1];
      let most = 0;
      for (let i = 0; i < gray.length; i++) most = Math.max(most, (gray[i] = Math.abs(gray[i] - level)));
      const empty = new Float32Array(width * height);
      if (most < 16) return pixelsOf(empty, shape, framing);
      let [left, top, right, bottom] = [160, 160, 0, 0];
      for (let i = 0; i < gray.length; i++) {
        const share = gray[i] / most < SUBJECT_SHARE ? 0 : gray[i] / most;
        image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = 255 * share;
        if (!share) continue;
        const [x, y] = [i % 160, Math.floor(i / 160)];
        [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
      }
      large.context.putImageData(image, 0, 0);
      const scale = framing.extent * Math.min(width / (right - left), height / (bottom - top));
      const [w, h] = [(right - left) * scale, (bottom - top) * scale];
      small.context.fillStyle = '#000';
      small.context.fillRect(0, 0, width, height);
      small.context.imageSmoothingQuality = 'high';
      small.context.drawImage(large.canvas, left, top, right - left, bottom - top, (width - w) / 2, (height - h) / 2, w, h);
      const data = small.levels();
      return pixelsOf(empty.map((_, i) => data[4 * i] / 255), shape, framing);
    };
  };

  /** Let a canvas be drawn on; calls back with the strokes after each movement. */
  Jaxcnn.startDrawing = function (canvas, onStrokes) {
    const context = canvas.getContext('2d');
    let strokes = [];
    let drawing = null;
    const show = () => {
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.strokeStyle = getComputedStyle(canvas).color;
      trace(context, strokes, (point) => point, canvas.width * 0.075);
    };
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
    };
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      drawing = [point(event)];
      strokes.push(drawing);
      show();
      onStrokes(strokes);
      event.preventDefault();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!drawing) return;
      drawing.push(...(event.getCoalescedEvents ? event.getCoalescedEvents().map(point) : []), point(event));
      show();
      onStrokes(strokes);
    });
    const end = () => { drawing = null; };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    return { show, clear() { strokes = []; drawing = null; show(); } };
  };
})();
