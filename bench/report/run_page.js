"use strict";
// Fills the lists of a run's page for the method that is chosen. Everything that is shown is put in as text.
(() => {
  const make = (tag, cls, text) => {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const ordinal = (n) => (n === null ? "n/a" : String(n));

  const item = (data, prompt, track, place, other, isBefore) => {
    const [id, says, src] = data.tracks[track];
    const row = make("li");
    const head = make("div", "track");
    const name = make("span", "", id);
    name.dir = "auto";
    head.append(name);
    const mark = (cls, text) => head.append(" ", make("span", cls, text));
    if (track === prompt.target) mark("mark target", "target");
    for (const [word, value, tracks, good] of prompt.marks)
      if (tracks.includes(track)) mark(good ? "mark good" : "mark bad", `${word}: ${value}`);
    const there = other.indexOf(track);
    if (there < 0) mark("mark", isBefore ? "left" : "came");
    else mark("mark", there === place ? "same place" : isBefore ? `now ${there + 1}` : `was ${there + 1}`);
    const told = make("div", "says", says);
    told.dir = "auto";
    row.append(head, told);
    if (src) {
      const player = make("audio");
      player.controls = true;
      player.preload = "none";
      player.src = src;
      player.setAttribute("aria-label", `Play ${id}`);
      row.append(player);
    }
    return row;
  };

  const column = (data, prompt, title, list, other, isBefore) => {
    const box = make("div");
    const rows = make("ol", "found");
    rows.append(...list.map((track, place) => item(data, prompt, track, place, other, isBefore)));
    box.append(make("h5", "", title), list.length ? rows : make("p", "none", data.nothing));
    return box;
  };

  const counts = (prompt, method) => {
    const [before, after] = [prompt.lists[method.before], prompt.lists[method.cell]];
    return prompt.marks.map(([, , tracks]) => [before, after].map((l) => l.filter((t) => tracks.includes(t)).length));
  };

  const tally = (prompt, method) => {
    const [before, after] = [prompt.lists[method.before], prompt.lists[method.cell]];
    if (!after.length) return "no list";
    const told = counts(prompt, method).map(([a, b], at) => {
      const [word, value] = prompt.marks[at];
      return `${word} (${value}): ${a} of ${before.length} before, ${b} after`;
    });
    const left = before.filter((t) => !after.includes(t)).length;
    const [was, now] = [prompt.ranks[method.before], prompt.ranks[method.cell]].map(ordinal);
    return [...told, `${left} of ${before.length} tracks left`, `target at rank ${was}, then ${now}`].join(" · ");
  };

  const start = (section, data) => {
    const [method, part] = section.querySelectorAll("select");
    const [open, close] = section.querySelectorAll("button");
    const told = section.querySelector(".told");
    const boxes = [...section.querySelectorAll(".prompt")];
    const shown = new Map(boxes.map((box) => [box, box.querySelector(".pair").childElementCount ? data.first : -1]));

    const fill = (box) => {
      const chosen = Number(method.value);
      if (!box.open || shown.get(box) === chosen) return;
      shown.set(box, chosen);
      const [m, prompt] = [data.methods[chosen], data.prompts[boxes.indexOf(box)]];
      const [before, after] = [prompt.lists[m.before], prompt.lists[m.cell]];
      box.querySelector(".pair").replaceChildren(
        column(data, prompt, `Before: ${data.cells[m.before]}`, before, after, true),
        column(data, prompt, `After: ${m.label}`, after, before, false),
      );
    };

    const update = () => {
      const m = data.methods[Number(method.value)];
      const seen = [];
      boxes.forEach((box, at) => {
        const prompt = data.prompts[at];
        box.hidden = part.value !== "" && prompt.part !== part.value;
        if (box.hidden) return;
        seen.push(prompt);
        box.querySelector(".tally").textContent = tally(prompt, m);
        fill(box);
      });
      const whole = seen.filter((p) => p.lists[m.cell].length);
      const mean = (side) =>
        (whole.reduce((sum, p) => sum + (counts(p, m)[0] || [0, 0])[side], 0) / whole.length).toFixed(1);
      const word = seen.length && seen[0].marks.length ? seen[0].marks[0][0] : "";
      const numbers = whole.length && word ? `: on average ${mean(0)} tracks marked “${word}” before, ${mean(1)} after` : "";
      told.textContent = `${m.label}, beside ${data.cells[m.before]}, ${seen.length} prompts${numbers}.`;
    };

    section.querySelector(".controls").hidden = false;
    method.value = String(data.first); // a browser may bring back what was chosen before the page was loaded again
    part.value = "";
    method.addEventListener("change", update);
    part.addEventListener("change", update);
    boxes.forEach((box) => box.addEventListener("toggle", () => fill(box)));
    const all = (state) => boxes.filter((box) => !box.hidden).forEach((box) => (box.open = state));
    open.addEventListener("click", () => all(true));
    close.addEventListener("click", () => all(false));
    // On paper nothing can be opened.
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = boxes.filter((box) => !box.open && !box.hidden);
      opened.forEach((box) => {
        box.open = true;
        fill(box);
      });
    });
    addEventListener("afterprint", () => opened.forEach((box) => (box.open = false)));
    update();
  };

  const data = JSON.parse(document.getElementById("run-data").textContent);
  data.forEach((one, at) => start(document.getElementById(`comparison-${at}`), one));
})();
