/* The pictures of the explorer: the photograph, the letter of the course, a file, the camera. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  const LONGEST = 640;
  const LETTER = [[0, 0.6, 0.6, 0], [0.6, 0, 0, 0.6], [0.6, 0.6, 0.6, 0.6], [0.6, 0, 0, 0.6]];
  let drawing = null;

  /** Return the pixels of a picture or a video, made smaller where it is larger than the camera. */
  Jaxcnn.pixelsOf = function (picture, width, height) {
    const share = Math.min(1, LONGEST / Math.max(width, height));
    drawing = drawing || document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const [columns, rows] = [width, height].map((size) => Math.max(1, Math.round(size * share)));
    if (drawing.canvas.width !== columns) drawing.canvas.width = columns;
    if (drawing.canvas.height !== rows) drawing.canvas.height = rows;
    drawing.fillStyle = '#fff'; // what is transparent in a picture
    drawing.fillRect(0, 0, columns, rows);
    drawing.drawImage(picture, 0, 0, columns, rows);
    return drawing.getImageData(0, 0, columns, rows);
  };

  /** Return the pixels of a picture in a data URI. */
  Jaxcnn.decodePicture = async function (uri) {
    const image = new Image();
    image.src = uri;
    await image.decode();
    return Jaxcnn.pixelsOf(image, image.naturalWidth, image.naturalHeight);
  };

  /** Return the pixels of a file; rejects if it is no picture. */
  Jaxcnn.readPicture = async function (file) {
    const picture = await createImageBitmap(file);
    try {
      return Jaxcnn.pixelsOf(picture, picture.width, picture.height);
    } finally {
      picture.close();
    }
  };

  /** Return the letter of the course as a plane with values from 0 to 1. */
  Jaxcnn.letterPlane = function () {
    return { data: Float32Array.from(LETTER.flat()), rows: LETTER.length, columns: LETTER[0].length };
  };

  /** Return a view of planes on which a window is moved: its element, and how it is drawn. */
  Jaxcnn.planeView = function (titleKey, labelKey, onPoint, onStep) {
    const { element } = Jaxcnn;
    const canvas = element('canvas', { width: 1, height: 1 });
    const numbers = element('div', { class: 'numbers', 'aria-hidden': 'true' });
    const frame = element('div', { class: 'frame', 'aria-hidden': 'true', hidden: true });
    const stage = element('div', {
      class: 'stage', tabindex: 0, role: 'application', 'data-word-label': labelKey,
      onpointermove: point, onpointerdown: point, onkeydown: step,
    }, canvas, numbers, frame);
    const size = element('span', { class: 'size' });
    const formulas = element('div', { class: 'formulas' });
    const scale = element('p', { class: 'scale' });
    const title = element('h3', {}, element('span', { 'data-word': titleKey }), ' ', size);
    let planes = null;

    function point(event) {
      const box = canvas.getBoundingClientRect();
      if (!planes || !planes[0].rows || !box.width) return;
      const share = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
      onPoint(Math.floor(share[0] * planes[0].rows), Math.floor(share[1] * planes[0].columns));
    }

    function step(event) {
      const count = event.shiftKey ? 10 : 1;
      const move = {
        ArrowUp: [-count, 0], ArrowDown: [count, 0], ArrowLeft: [0, -count], ArrowRight: [0, count],
      }[event.key];
      if (!move) return;
      event.preventDefault();
      onStep(...move);
    }

    function writeNumbers(white, signed) {
      const { rows, columns, data } = planes[0];
      const isSmall = planes.length === 1 && columns > 0 && columns <= 8 && rows <= 8;
      numbers.hidden = !isSmall;
      if (!isSmall) return;
      numbers.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
      const isLight = (value) => (signed ? 0.5 + value / white / 2 : value / white) > 0.45;
      numbers.replaceChildren(...Array.from(data, (value) => element('span', {
        text: Jaxcnn.numberText(value), class: isLight(value) ? 'on-light' : 'on-dark',
      })));
    }

    return {
      root: element('figure', { class: 'plane' }, title, stage, scale, formulas),
      canvas,
      draw(shown, white, signed) {
        planes = shown;
        Jaxcnn.paint(canvas, planes, white, signed);
        canvas.classList.toggle('large-pixels', planes[0].columns < 64);
        writeNumbers(white, signed);
        size.textContent = Jaxcnn.word('size_of', planes[0]);
      },
      describe(scaleText, lines) {
        scale.textContent = scaleText;
        formulas.replaceChildren(...lines.map((text) => element('p', { text })));
      },
      mark(top, left, height, width) {
        const { rows, columns } = planes[0];
        frame.hidden = !rows;
        frame.style.top = `${(100 * top) / rows}%`;
        frame.style.left = `${(100 * left) / columns}%`;
        frame.style.height = `${(100 * height) / rows}%`;
        frame.style.width = `${(100 * width) / columns}%`;
      },
    };
  };
})();
