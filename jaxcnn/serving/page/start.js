/* The start of the page: its data, its sections, and the switches of its head. */
(function () {
  'use strict';
  const Jaxcnn = window.Jaxcnn;
  const data = (id) => JSON.parse(document.getElementById(id).textContent || 'null');
  const page = data('page-data') || {};
  const network = data('network-data');
  const sections = {
    explorer: (root) => Jaxcnn.startExplorer(root, page.filters || [], page.photograph),
    network: network ? ((root) => Jaxcnn.startNetworkView(root, network, { examples: page.examples }))
      : page.absence && ((root) => tellAbsence(root, page.absence)),
    errors: page.mistakes && ((root) => Jaxcnn.startErrors(root, page.mistakes)),
  };

  function tellAbsence(root, reason) {
    const { element, onLanguage, word } = Jaxcnn;
    const text = element('p', { role: 'status' });
    root.replaceChildren(text);
    onLanguage(() => { text.textContent = word('nv_absent', { reason }); });
  }

  for (const [name, start] of Object.entries(sections)) {
    const section = document.getElementById(name);
    if (start) {
      const body = section.querySelector('.body');
      try {
        start(body);
      } catch (error) {
        if (name !== 'network') throw error;
        tellAbsence(body, error.message); // such as an operator that the page does not have
      }
    } else {
      section.remove();
      document.querySelector(`#contents a[href="#${name}"]`).parentElement.remove();
    }
  }
  const links = document.querySelectorAll('#contents a');
  if (links.length < 2) document.getElementById('contents').remove();
  if (!network) document.getElementById('lead').dataset.word = 'lead_alone';

  const languages = document.querySelectorAll('[data-language]');
  for (const button of languages) {
    button.addEventListener('click', () => Jaxcnn.setLanguage(button.dataset.language));
  }
  Jaxcnn.onLanguage((language) => {
    for (const button of languages) {
      button.setAttribute('aria-pressed', String(button.dataset.language === language));
    }
  });
  Jaxcnn.startTheme(document.getElementById('theme'));
  Jaxcnn.setLanguage(Jaxcnn.language);

  // The link of the section that is read is marked.
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const link = document.querySelector(`#contents a[href="#${target.id}"]`);
      if (link && isIntersecting) link.setAttribute('aria-current', 'true');
      else if (link) link.removeAttribute('aria-current');
    }
  }, { rootMargin: '-45% 0px -50% 0px' });
  for (const section of document.querySelectorAll('main > section')) observer.observe(section);
})();
