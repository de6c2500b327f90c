/* The live camera: its pictures stay on this page. */
(function () {
  'use strict';
  const Jaxcnn = (window.Jaxcnn = window.Jaxcnn || {});

  /** Show the camera in a video element; rejects with the key of a word that says why not. */
  Jaxcnn.startCamera = async function (video, size) {
    const devices = navigator.mediaDevices;
    if (!devices || !devices.getUserMedia) throw new Error('camera_missing');
    const { width, height } = size || { width: 640, height: 480 };
    let stream;
    try {
      stream = await devices.getUserMedia({
        audio: false,
        video: { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 60 } },
      });
    } catch (error) {
      throw new Error(error.name === 'NotAllowedError' ? 'camera_refused' : 'camera_missing');
    }
    Jaxcnn.stopCamera(video);
    video.srcObject = stream;
    video.muted = true;
    video.playsInline = true;
    await video.play();
  };

  /** End the camera of a video element, if it runs. */
  Jaxcnn.stopCamera = function (video) {
    const stream = video.srcObject;
    if (!stream) return;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };

  /** Call back with each new frame of a video until it returns false. */
  Jaxcnn.onFrames = function (video, callback) {
    const next = video.requestVideoFrameCallback
      ? (again) => video.requestVideoFrameCallback(again)
      : (again) => requestAnimationFrame(again);
    const step = () => {
      if (video.srcObject && callback() !== false) next(step);
    };
    next(step);
  };
})();
