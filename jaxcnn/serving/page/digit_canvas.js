/* A canvas to draw on: its strokes, with mouse, pen or finger. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});

  /** Draw strokes (lists of points [x, y]) with round lines, each point moved by `place`. */
  Jaxcnn.traceStrokes = function (context, strokes, place, width) {
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
  };

  const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

  /** Let a canvas be drawn on with a pointer, or with the arrow keys, where Space or Enter lowers and
      lifts the pen; calls back with the strokes after each movement. */
  Jaxcnn.startDrawing = function (canvas, onStrokes) {
    const context = canvas.getContext('2d');
    const step = canvas.width / 20;
    let strokes = [];
    let drawing = null;
    let pen = null; // the place of the pen that the keys move
    const show = () => {
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.strokeStyle = getComputedStyle(canvas).color;
      Jaxcnn.traceStrokes(context, strokes, (point) => point, canvas.width * 0.075);
      if (!pen) return;
      context.beginPath();
      context.arc(...pen, canvas.width * 0.05, 0, 2 * Math.PI);
      context.lineWidth = 3;
      context.strokeStyle = getComputedStyle(canvas).getPropertyValue('--accent');
      context.stroke();
    };
    const changed = () => { show(); onStrokes(strokes); };
    const begin = (at) => { drawing = [at]; strokes.push(drawing); };
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
    };
    canvas.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      pen = null;
      begin(point(event));
      changed();
      event.preventDefault();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!drawing || pen) return;
      drawing.push(...(event.getCoalescedEvents ? event.getCoalescedEvents().map(point) : []), point(event));
      changed();
    });
    const end = () => { drawing = null; };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    canvas.addEventListener('keydown', (event) => {
      const by = STEPS[event.key];
      const turns = event.key === ' ' || event.key === 'Enter';
      if (!by && !turns) return;
      event.preventDefault();
      pen = pen || [canvas.width / 2, canvas.height / 2];
      if (by) {
        pen = pen.map((place, axis) => Math.min(canvas.width - step, Math.max(step, place + step * by[axis])));
        if (drawing) drawing.push(pen);
      } else if (drawing) {
        drawing = null;
      } else {
        begin(pen);
      }
      if (drawing) changed();
      else show();
    });
    canvas.addEventListener('blur', () => { pen = null; drawing = null; show(); });
    return { show, clear() { strokes = []; drawing = null; show(); } };
  };
})();
