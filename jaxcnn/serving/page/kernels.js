/* The kernel explorer: a picture before and after a kernel, and the numbers of each window. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  // Tables of the live camera are written so often per second: faster ones cannot be read.
  const WORKED_PER_SECOND = 5;

  /** Show the explorer: filters are [{name, kernel}], the photograph is a data URI. */
  Jaxcnn.startExplorer = function (root, filters, photograph) {
    const { element, word } = Jaxcnn;
    const state = {
      source: 'photo', image: null, planes: null, isColor: false, white: 255,
      preset: 'sobel_x', size: 3, weights: null, bias: 0, flip: false, pad: 1, stride: 1,
      relu: false, signed: true, pool: 'none', poolSize: 2, poolStride: 2, at: null,
      convolved: null, pooled: null, rate: 0,
    };
    Jaxcnn.explorer = state;
    const video = element('video', { muted: true, playsinline: true, hidden: true });
    const file = element('input', {
      type: 'file', accept: 'image/*', hidden: true, id: 'picture-file', 'data-word-label': 'source_upload',
      onchange: () => file.files[0] && upload(file.files[0]),
      oncancel: mark,
    });
    const message = element('p', { class: 'warning', role: 'alert' });
    const live = element('p', { class: 'visually-hidden', 'aria-live': 'polite', id: 'explorer-live' });
    const worked = element('div', { class: 'worked' });
    const rate = element('p', { class: 'rate', hidden: true });
    const sources = Jaxcnn.choice('source', 'picture', [
      ['photo', 'source_photo'], ['letter', 'source_letter'],
      ['upload', 'source_upload'], ['camera', 'source_camera'],
    ], 'photo', choose);
    sources.querySelector('[value=upload]').addEventListener('click', () => file.click());
    const color = Jaxcnn.toggle('color', 'color', false, (on) => {
      state.isColor = on;
      take();
    });
    const before = Jaxcnn.planeView('input', 'input_label', pointInput, (y, x) => move(y, x));
    const after = Jaxcnn.planeView('output', 'output_label', pointOutput, (y, x) => {
      const step = state.pool === 'none' ? 1 : state.poolStride;
      move(y * step, x * step);
    });
    const signed = Jaxcnn.toggle('signed', 'signed', true, (on) => {
      state.signed = on;
      compute();
    });
    const { presets, editor } = Jaxcnn.kernelEditor(state, filters, () => {
      signed.querySelector('input').checked = state.signed;
      compute();
    });
    const steps = Jaxcnn.stepControls(state, () => compute());
    root.append(
      element('div', { class: 'controls' }, sources, color, file, video), message, presets,
      element('div', { class: 'explorer-stage' }, before.root, editor, after.root),
      rate,
      element('div', { class: 'steps' }, ...steps, signed),
      element('h3', { 'data-word': 'worked' }), element('p', { class: 'hint', 'data-word': 'worked_hint' }),
      worked, live);
    Jaxcnn.onLanguage(() => compute());
    choose('photo');

    async function choose(source) {
      message.textContent = '';
      if (source === 'upload') return; // the dialog of the browser follows
      const shown = state.source;
      state.source = source;
      rate.hidden = source !== 'camera';
      if (source !== 'camera') Jaxcnn.stopCamera(video);
      try {
        if (source === 'photo') use(await Jaxcnn.decodePicture(photograph), source);
        if (source === 'letter') use(null, source);
        if (source === 'camera') await follow();
      } catch (error) {
        message.textContent = word(source === 'camera' ? error.message : 'upload_wrong');
        state.source = shown;
        rate.hidden = true;
        mark();
      }
    }

    /** Mark the picture that is shown: none was chosen, or it could not be read. */
    function mark() {
      sources.querySelector(`[value=${state.source}]`).checked = true;
    }

    async function upload(picture) {
      try {
        const image = await Jaxcnn.readPicture(picture);
        Jaxcnn.stopCamera(video);
        rate.hidden = true;
        state.source = 'upload';
        use(image, 'upload');
        message.textContent = '';
      } catch (error) {
        message.textContent = word('upload_wrong');
      }
      mark();
      file.value = '';
    }

    function use(image, source) {
      if (state.source !== source) return; // another one was chosen while this one was read
      state.image = image;
      state.white = image ? 255 : 1;
      state.at = null;
      color.querySelector('input').disabled = !image;
      take();
    }

    async function follow() {
      await Jaxcnn.startCamera(video);
      message.textContent = '';
      let [frames, since, written] = [0, performance.now(), 0];
      state.at = null;
      color.querySelector('input').disabled = false;
      Jaxcnn.onFrames(video, () => {
        if (state.source !== 'camera') return false;
        const now = performance.now();
        state.image = Jaxcnn.pixelsOf(video, video.videoWidth, video.videoHeight);
        state.white = 255;
        const isDue = now - written > 1000 / WORKED_PER_SECOND;
        if (isDue) written = now;
        take(!isDue);
        frames += 1;
        if (now - since > 1000) {
          state.rate = (1000 * frames) / (now - since);
          rate.textContent = `${word('camera_rate', { rate: Math.round(state.rate) })} · ${word('camera_private')}`;
          [frames, since] = [0, now];
        }
        return true;
      });
    }

    function take(isQuick) {
      if (!state.image && state.source !== 'letter') return;
      state.planes = state.image ? Jaxcnn.planesOf(state.image, state.isColor) : [Jaxcnn.letterPlane()];
      before.draw(state.planes, state.white, false);
      compute(isQuick);
    }

    /** Compute the output; with `isQuick` the texts and tables stay as they are. */
    function compute(isQuick) {
      if (!state.planes) return;
      const weights = Jaxcnn.applied(state.weights, state.flip);
      state.convolved = state.planes.map((plane) => {
        const made = Jaxcnn.convolve(plane, weights, state);
        return state.relu ? Jaxcnn.rectify(made) : made;
      });
      state.pooled = state.pool === 'none' ? state.convolved : state.convolved.map((plane) => (
        Jaxcnn.pool(plane, state.pool, state.poolSize, state.poolStride)));
      after.draw(state.pooled, state.white, state.signed);
      if (!isQuick) {
        describe();
        showPlace();
      }
    }

    function describe() {
      const { size, pad, stride, white } = state;
      const [first] = state.planes;
      before.describe(word('shown_plain', { white }), []);
      const lines = Jaxcnn.sizeFormula(first.rows, first.columns, size, pad, stride);
      const [made] = state.convolved;
      if (state.pool !== 'none' && made.rows) {
        lines[0] = `${word('after_conv')}: ${lines[0]}`;
        const pooled = Jaxcnn.sizeFormula(made.rows, made.columns, state.poolSize, 0, state.poolStride);
        pooled[0] = `${word('after_pool')}: ${pooled[0]}`;
        lines.push(...pooled);
      }
      if (!state.pooled[0].rows) lines.push(word('too_small'));
      after.describe(word(state.signed ? 'shown_signed' : 'shown_plain', { white }), lines);
    }

    function pointInput(y, x) {
      const middle = (state.size - 1) / 2;
      place([y, x].map((each) => Math.round((each + state.pad - middle) / state.stride)));
    }

    function pointOutput(y, x) {
      if (state.pool === 'none') {
        place([y, x]);
        return;
      }
      // Of a maximum the output that is the largest, of a mean the first.
      const [top, left] = [y * state.poolStride, x * state.poolStride];
      const values = Jaxcnn.patch(state.convolved[0], top, left, state.poolSize);
      const index = state.pool === 'max' ? values.indexOf(Math.max(...values)) : 0;
      place([top + Math.floor(index / state.poolSize), left + (index % state.poolSize)]);
    }

    function move(y, x) {
      if (state.at) place([state.at[0] + y, state.at[1] + x]);
    }

    function place(at) {
      state.at = at;
      showPlace();
    }

    function showPlace() {
      const [made] = state.convolved;
      if (!made.rows || !state.pooled[0].rows) {
        worked.replaceChildren();
        before.mark(0, 0, 0, 0);
        after.mark(0, 0, 0, 0);
        return;
      }
      const limits = [made.rows, made.columns];
      const at = (state.at || limits.map((size) => Math.floor(0.4 * size)))
        .map((each, axis) => Math.min(Math.max(each, 0), limits[axis] - 1));
      state.at = at;
      const found = Jaxcnn.workedWindow(state, at);
      state.worked = found;
      before.mark(found.top, found.left, state.size, state.size);
      const spot = state.pool === 'none' ? at : Jaxcnn.pooledPlace(state, at);
      after.mark(spot[0], spot[1], 1, 1);
      Jaxcnn.showWorked(worked, state, found);
      announce(found);
    }

    let timer = 0;
    function announce(found) {
      clearTimeout(timer);
      if (!root.contains(document.activeElement)) return;
      timer = setTimeout(() => {
        live.textContent = word('position', {
          row: found.row, column: found.column,
          value: found.channels.map(({ value }) => Jaxcnn.numberText(value)).join(', '),
        });
      }, 300);
    }
  };

  /** Return the controls of padding, stride, ReLU and pooling. */
  Jaxcnn.stepControls = function (state, onChange) {
    const { choice, element, toggle } = Jaxcnn;
    const numbers = (...values) => values.map((value) => [String(value), String(value)]);
    const set = (name) => (value) => {
      state[name] = Number(value);
      onChange();
    };
    const windowOfPool = choice('pool-size', 'pool_window', [['2', '2×2'], ['3', '3×3']], '2', set('poolSize'));
    const strideOfPool = choice('pool-stride', 'pool_stride', numbers(1, 2, 3), '2', set('poolStride'));
    const ofPool = element('div', { class: 'line', hidden: true }, windowOfPool, strideOfPool);
    return [
      choice('padding', 'padding', numbers(0, 1, 2), '1', set('pad')),
      choice('stride', 'stride', numbers(1, 2, 3, 4), '1', set('stride')),
      choice('pool', 'pooling', [['none', 'pool_none'], ['max', 'pool_max'], ['avg', 'pool_avg']], 'none', (kind) => {
        state.pool = kind;
        ofPool.hidden = kind === 'none';
        onChange();
      }),
      ofPool,
      toggle('relu', 'relu', false, (on) => {
        state.relu = on;
        onChange();
      }),
    ];
  };
})();
