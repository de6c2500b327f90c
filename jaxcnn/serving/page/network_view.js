/* Watch the network: a drawing, the maps of each layer, the classes, and the numbers of one value. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});
  const MOST_CLASSES = 10;
  const ANNOUNCE_AFTER = 600;

  const shapeText = (shape) => shape.join('×');

  function decode(text) {
    const characters = atob(text);
    return Uint8Array.from(characters, (character) => character.charCodeAt(0));
  }

  /* Probabilities from the outputs, whatever the network ends with. */
  function shares(outputs, signature) {
    if (signature.activation !== 'none' || signature.task !== 'classify') return Array.from(outputs);
    const largest = Math.max(...outputs);
    const powers = Array.from(outputs, (value) => Math.exp(value - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  function paintPixels(canvas, pixels, [height, width, channels]) {
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[i * channels + (channels === 3 ? c : 0)];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  /* The way from input to output as one picture; a layer's box leads to its maps. */
  function wayOf(layers, inputShape, classes, onLayer) {
    const { element, word } = Jaxcnn;
    const texts = (path, shape) => [element('span', { title: path }, element('bdi', { text: path })), element('small', { text: shapeText(shape) })];
    const boxes = [
      element('div', { class: 'nv-box nv-end' }, ...texts(word('nv_input'), inputShape)),
      ...layers.map(({ path, shape }, at) => element('button', { type: 'button', class: 'nv-box', onclick: () => onLayer(at) }, ...texts(path, shape))),
      element('div', { class: 'nv-box nv-end' }, ...texts(word('nv_output'), [classes]))];
    const list = element('ol', { class: 'nv-way', 'aria-label': word('nv_way') }, ...boxes.map((box) => element('li', {}, box)));
    return { list, mark: (at) => boxes.forEach((box, i) => box.classList.toggle('nv-chosen', i === at + 1)) };
  }

  /** Build the view of a network within `root`. */
  Jaxcnn.startNetworkView = function (root, json, { examples = [] } = {}) {
    const { element, word } = Jaxcnn;
    const network = Jaxcnn.loadNetwork(json);
    const { signature, inputShape } = network;
    const frame = signature.framing;
    const names = signature.class_names;
    // Dropout, which passes its input on, has no maps of its own.
    const layers = network.layers.filter((layer, at, all) => (
      network.value(layer.value) && (at === 0 || all[at - 1].value !== layer.value)));
    let frames = 0;
    let pixels = new Float32Array(inputShape.reduce((a, b) => a * b, 1));
    let result = null;
    let colors = null;
    let accent = '';
    let chosen = null;
    let waiting = false;
    let announce = 0;

    const board = element('canvas', {
      class: 'nv-board', width: 280, height: 280, tabindex: 0, role: 'application', 'data-word-label': 'nv_draw_label' });
    const seen = element('canvas', { class: 'nv-seen', width: inputShape[1], height: inputShape[0], 'aria-hidden': 'true' });
    const video = element('video', { class: 'nv-video', hidden: true, muted: true, playsinline: true });
    const warning = element('p', { class: 'nv-warning', role: 'alert' });
    const answer = element('p', { class: 'nv-answer' });
    // The answer is read out once it rests.
    const spoken = element('p', { class: 'visually-hidden', 'aria-live': 'polite' });
    const bars = element('ol', { class: 'nv-bars' });
    const rate = element('p', { class: 'nv-note' });
    const detail = element('div', { class: 'nv-detail', hidden: true });
    const strips = element('div', { class: 'nv-strips' });
    const wayHolder = element('div');

    const light = !frame || frame.background === null || frame.background === undefined || frame.background < 128;
    board.classList.add(light ? 'nv-light-ink' : 'nv-dark-ink');
    const fromStrokes = Jaxcnn.strokeFramer(inputShape, frame);
    const fromPicture = Jaxcnn.pictureFramer(inputShape, frame);
    const drawing = Jaxcnn.startDrawing(board, (strokes) => { stopCamera(); show(fromStrokes(strokes)); });

    function show(values) {
      pixels = values;
      request();
    }

    function request() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(update);
    }

    function update() {
      waiting = false;
      const start = performance.now();
      result = network.run(signature.input_dtype === 'uint8' ? pixels : Float32Array.from(pixels, (level) => level / 255));
      const computed = performance.now();
      paint();
      const end = performance.now();
      frames += 1;
      if (frames % 10 === 1) {
        rate.textContent = word('nv_rate', { run: (computed - start).toFixed(1), paint: (end - computed).toFixed(1) });
      }
    }

    function paint() {
      if (!result) return;
      paintPixels(seen, pixels, inputShape);
      paintClasses();
      for (const row of rows) if (row.visible) row.strip.paint(colors, accent);
      if (chosen) paintDetail();
    }

    const { outputCount } = network;
    const classRows = Array.from({ length: Math.min(MOST_CLASSES, outputCount) }, () => {
      const parts = [element('span'), element('i'), element('b')];
      bars.append(element('li', {}, parts[0], element('div', {}, parts[1]), parts[2]));
      return parts;
    });

    function paintClasses() {
      const values = shares(result.outputs, signature);
      const percent = signature.activation !== 'none' || signature.task === 'classify';
      const text = (value) => (percent ? `${(100 * value).toFixed(1)} %` : value.toFixed(3));
      const order = values.map((_, i) => i);
      // Many classes: the most probable, in their own order.
      const shown = values.length <= MOST_CLASSES ? order
        : order.sort((a, b) => values[b] - values[a]).slice(0, MOST_CLASSES).sort((a, b) => a - b);
      const best = values.indexOf(Math.max(...values));
      const name = (i) => names[i] || String(i);
      classRows.forEach(([label, bar, share], i) => {
        label.textContent = name(shown[i]);
        bar.style.transform = `scaleX(${percent ? values[shown[i]] : 0})`;
        share.textContent = text(values[shown[i]]);
        label.parentElement.classList.toggle('nv-best', shown[i] === best);
      });
      answer.textContent = word('nv_answer', { name: name(best), share: text(values[best]) });
      clearTimeout(announce);
      announce = setTimeout(() => { spoken.textContent = answer.textContent; }, ANNOUNCE_AFTER);
    }

    /* Rows of maps: painted only while they are on the screen. */
    const rows = layers.map((layer, at) => {
      const holder = element('div', { class: 'nv-scroll nv-strip', tabindex: 0, role: 'group' });
      const head = element('h4', {}, element('span', { text: layer.path }),
        element('small', { text: `${layer.kind} · ${shapeText(layer.shape)}` }));
      const most = element('small');
      head.append(most);
      const section = element('div', { class: 'nv-layer' }, head, holder);
      const strip = Jaxcnn.mapStrip(holder, layer, network.value(layer.value), (channel, y, x) => choose(at, channel, y, x));
      const row = { layer, section, holder, most, strip, visible: false };
      holder.addEventListener('scroll', () => result && strip.paint(colors, accent));
      strips.append(section);
      return row;
    });
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const row = rows.find((each) => each.section === entry.target);
        row.visible = entry.isIntersecting;
        if (row.visible && result) row.strip.paint(colors, accent);
      }
    });

    /* The numbers behind one value, with the map enlarged to choose another pixel of it. */
    const large = element('canvas', { class: 'nv-large', tabindex: 0, role: 'img' });
    const place = element('p', { class: 'nv-place', 'aria-live': 'polite' });
    const worked = element('div', { class: 'nv-worked' });
    const close = element('button', { type: 'button', class: 'nv-button', 'data-word': 'nv_close', onclick: () => leave() });
    detail.append(element('div', { class: 'nv-map' }, large, close), element('div', {}, place, worked));

    function leave() {
      const row = rows[chosen.at];
      row.strip.choose(-1);
      chosen = null;
      detail.hidden = true;
      way.mark(-1);
      paint();
      row.holder.focus();
    }

    function choose(at, channel, y, x) {
      if (chosen) rows[chosen.at].strip.choose(-1);
      chosen = { at, channel, y, x };
      const row = rows[at];
      row.strip.choose(channel);
      row.section.append(detail);
      detail.hidden = false;
      way.mark(at);
      paint();
    }

    function paintDetail() {
      const { layer } = rows[chosen.at];
      const maps = Jaxcnn.mapsOf(layer, network.value(layer.value));
      const { channel, y, x } = chosen;
      const scale = Math.max(1, Math.floor(208 / Math.max(maps.width, maps.height)));
      [large.width, large.height] = [maps.width * scale, maps.height * scale];
      large.hidden = maps.flat;
      detail.classList.toggle('nv-flat', maps.flat);
      const context = large.getContext('2d');
      const most = 255 / Jaxcnn.largest(maps.data);
      for (let row = 0; row < maps.height; row++) {
        for (let column = 0; column < maps.width; column++) {
          const shade = colors[255 + Math.round(maps.data[maps.at(channel, row, column)] * most)];
          context.fillStyle = `rgb(${shade & 255} ${(shade >> 8) & 255} ${(shade >> 16) & 255})`;
          context.fillRect(column * scale, row * scale, scale, scale);
        }
      }
      context.strokeStyle = accent;
      context.lineWidth = 2;
      context.strokeRect(x * scale + 1, y * scale + 1, Math.max(2, scale - 2), Math.max(2, scale - 2));
      const values = { path: layer.path, channel: channel + 1, row: y + 1, column: x + 1 };
      place.textContent = word(maps.flat ? 'nv_unit' : 'nv_place', values);
      large.setAttribute('aria-label', word('nv_detail_label', values));
      Jaxcnn.showValue(worked, Jaxcnn.workOut(network, layer, channel, y, x));
    }

    function move(y, x) {
      const maps = Jaxcnn.mapsOf(rows[chosen.at].layer, network.value(rows[chosen.at].layer.value));
      chosen.y = Math.max(0, Math.min(maps.height - 1, y));
      chosen.x = Math.max(0, Math.min(maps.width - 1, x));
      paintDetail();
    }

    const point = (event) => {
      const box = large.getBoundingClientRect();
      const maps = Jaxcnn.mapsOf(rows[chosen.at].layer, network.value(rows[chosen.at].layer.value));
      move(Math.floor((event.clientY - box.top) * maps.height / box.height), Math.floor((event.clientX - box.left) * maps.width / box.width));
    };
    large.addEventListener('pointerdown', point);
    large.addEventListener('pointermove', point);
    large.addEventListener('keydown', (event) => {
      const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!by) return;
      event.preventDefault();
      move(chosen.y + by[0], chosen.x + by[1]);
    });

    /* The camera. */
    const camera = element('button', { type: 'button', class: 'nv-button', 'data-word': 'nv_camera', 'aria-pressed': 'false',
      onclick: () => (video.srcObject ? stopCamera() : startCamera()) });

    function cameraState(on) {
      video.hidden = !on;
      camera.dataset.word = on ? 'nv_camera_stop' : 'nv_camera';
      camera.textContent = word(camera.dataset.word);
      camera.setAttribute('aria-pressed', String(on));
    }

    async function startCamera() {
      warning.textContent = '';
      try {
        await Jaxcnn.startCamera(video);
      } catch (error) {
        warning.textContent = word(error.message);
        return;
      }
      drawing.clear();
      cameraState(true);
      const step = () => {
        if (!video.srcObject) return;
        if (video.videoWidth) show(fromPicture(video));
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }

    function stopCamera() {
      if (!video.srcObject) return;
      Jaxcnn.stopCamera(video);
      cameraState(false);
    }

    const clear = element('button', { type: 'button', class: 'nv-button', 'data-word': 'nv_clear',
      onclick: () => { stopCamera(); drawing.clear(); show(fromStrokes([])); } });
    const fitting = examples.filter((example) => shapeText(example.shape) === shapeText(inputShape));
    const pictures = fitting.map((example) => {
      const values = decode(example.pixels);
      const picture = element('canvas', { width: inputShape[1], height: inputShape[0] });
      paintPixels(picture, values, inputShape);
      return { example, values, button: element('button', { type: 'button', class: 'nv-example',
        onclick: () => { stopCamera(); drawing.clear(); show(Float32Array.from(values)); } }, picture) };
    });

    let way = null;
    const head = (key) => element('h3', { 'data-word': key });
    const stage = element('div', { class: 'nv-stage' },
      element('div', {}, head('nv_draw'), element('div', { class: 'nv-paper' }, board, video),
        element('p', { class: 'nv-note', 'data-word': 'nv_draw_hint' }),
        element('div', { class: 'nv-buttons' }, clear, camera), warning),
      element('div', { class: 'nv-input' }, head('nv_sees'), seen,
        pictures.length ? element('div', {}, head('nv_examples'), element('div', { class: 'nv-examples' }, ...pictures.map((each) => each.button))) : ''),
      element('div', {}, head(signature.activation === 'none' && signature.task !== 'classify' ? 'nv_values' : 'nv_classes'), answer, spoken, bars));
    root.classList.add('nv');
    root.append(element('p', { class: 'nv-lead', 'data-word': 'nv_lead' }), stage, head('nv_way'), wayHolder, head('nv_layers'), strips, rate);
    strips.append(detail);

    Jaxcnn.onLanguage(() => {
      way = wayOf(layers, inputShape, outputCount, (at) => {
        way.mark(at);
        rows[at].section.scrollIntoView({ block: 'center' });
        rows[at].holder.focus({ preventScroll: true });
      });
      wayHolder.replaceChildren(way.list);
      if (chosen) way.mark(chosen.at);
      for (const { layer, holder, most, strip } of rows) {
        holder.setAttribute('aria-label', word('nv_map_label', { path: layer.path }));
        most.textContent = strip.count < strip.channels ? word('nv_most', { count: strip.count, all: strip.channels }) : '';
      }
      for (const { example, button } of pictures) button.setAttribute('aria-label', word('nv_example', { label: example.label }));
      request();
    });
    const theme = () => {
      colors = Jaxcnn.mapColors();
      accent = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim() || '#b8420f';
      drawing.show();
      request();
    };
    theme();
    new MutationObserver(theme).observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    for (const row of rows) observer.observe(row.section);
    show(pictures.length ? Float32Array.from(pictures[0].values) : fromStrokes([]));
  };
})();
