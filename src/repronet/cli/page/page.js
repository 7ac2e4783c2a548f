// The page: an image in, scores and evidence out.

const byId = (id) => document.getElementById(id);
const { classes, evidence: hasMaps, multilabel, transform } = JSON.parse(byId("spec").textContent);
const SHOWN = 5; // classes
const THRESHOLD = 0.5; // from which on an image has a label, where it may have several
const SQUARES = 8; // places a side that are covered, by a square of twice their distance
const PLACES = [
  ["at the top left", "at the top", "at the top right"],
  ["at the left", "in the middle", "at the right"],
  ["at the bottom left", "at the bottom", "at the bottom right"],
];
const RED = [214, 47, 39], BLUE = [33, 102, 172];
const AT_ONCE = 16; // images that are computed together

async function unpacked(id) {
  const packed = Uint8Array.from(atob(byId(id).textContent), (character) => character.charCodeAt(0));
  byId(id).remove(); // which frees its memory
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function loaded() {
  const script = new Blob([await unpacked("script")], { type: "text/javascript" });
  const runtime = await import(URL.createObjectURL(script));
  runtime.env.wasm.numThreads = 1; // more need a server that isolates the page
  runtime.env.wasm.wasmBinary = await unpacked("binary");
  const session = await runtime.InferenceSession.create(new Uint8Array(await unpacked("graph")));
  return async (images) => {
    const { channels, side } = transform, size = channels * side * side;
    const bytes = new Uint8Array(images.length * size);
    images.forEach((image, n) => bytes.set(image, n * size));
    return session.run({ pixels: new runtime.Tensor("uint8", bytes, [images.length, channels, side, side]) });
  };
}

const network = loaded();

/** File or blob → what the network is shown of it. */
async function read(file) {
  // No colour profile is applied, as Pillow applies none; turned upright as EXIF says, as Pillow is told to.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(bitmap, 0, 0);
  const { data } = canvas.getImageData(0, 0, width, height);
  const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return shown(overWhite(data, width, height), transform, start[0] === 0xff && start[1] === 0xd8);
}

/** Softmax, or where an image may have several labels a sigmoid of each. */
function probabilities(logits) {
  if (multilabel) return Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

let latest = 0; // the image that was given last; older ones are given up

async function answer(file) {
  const turn = ++latest;
  byId("status").textContent = `${file.name || "image"}: looking …`;
  try {
    const pixels = await read(file);
    const { logits, evidence } = await (await network)([pixels]);
    if (turn !== latest) return;
    const chances = probabilities(logits.data);
    const order = chances.map((_, index) => index).sort((a, b) => chances[b] - chances[a]).slice(0, SHOWN);
    byId("answer").hidden = false;
    const maps = hasMaps ? activation(evidence) : null;
    list(order, chances, (label) => draw(pixels, label, maps));
    draw(pixels, order[0], maps);
    say(file, order[0], chances);
    if (hasMaps) return;
    const covered = await occluded(pixels, chances, (done) => turn === latest && say(file, order[0], chances, done));
    if (turn !== latest) return;
    list(order, chances, (label) => draw(pixels, label, covered));
    draw(pixels, order[0], covered);
    say(file, order[0], chances);
  } catch (error) {
    if (turn === latest) byId("status").textContent = `${file.name || "image"}: cannot be read or computed (${error.message})`;
  }
}

function say(file, label, chances, done) {
  const covering = done ? ` Covering squares: ${done} of ${SQUARES * SQUARES} …` : "";
  const told = multilabel ? chances.map((_, index) => index).filter((index) => chances[index] >= THRESHOLD) : [label];
  const names = told.map((index) => `${classes[index]}, ${percent(chances[index])}`).join("; ") || "(none)";
  byId("status").textContent = `${file.name || "image"}: ${names}.${covering}`;
}

const percent = (chance) => `${(100 * chance).toFixed(1)} %`;

/** The rows of the likeliest classes, each with a button that shows its evidence. */
function list(order, chances, chosen) {
  byId("classes").replaceChildren(...order.map((label, rank) => {
    const row = document.createElement("tr"), name = document.createElement("th"), button = document.createElement("button");
    name.scope = "row";
    button.type = "button";
    button.textContent = classes[label];
    button.setAttribute("aria-pressed", rank === 0);
    button.onclick = () => {
      for (const other of byId("classes").querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
      chosen(label);
    };
    name.append(button);
    const chance = row.insertCell(), bar = document.createElement("span");
    chance.textContent = percent(chances[label]);
    bar.className = "bar";
    bar.style.width = `${8 * chances[label]}em`;
    row.insertCell().append(bar);
    row.prepend(name);
    return row;
  }));
}

/** Class activation maps, each less the mean of all classes: softmax heeds no more. A sigmoid heeds all of them. */
function activation({ data, dims: [, count, height, width] }) {
  const places = height * width;
  const mean = Float32Array.from({ length: places }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < count; c++) sum += data[c * places + i];
    return multilabel ? 0 : sum / count;
  });
  return (label) => ({ height, width, values: mean.map((value, i) => data[label * places + i] - value) });
}

/** How much each class loses when a square is covered, a place at a time. */
async function occluded(pixels, chances, advance) {
  const { channels, side } = transform, step = side / SQUARES, views = [];
  for (let place = 0; place < SQUARES * SQUARES; place++) {
    const middle = [Math.floor(place / SQUARES), place % SQUARES].map((n) => (n + 0.5) * step);
    const [top, left] = middle.map((at) => Math.max(Math.round(at - step), 0));
    const [bottom, right] = middle.map((at) => Math.min(Math.round(at + step), side));
    const view = pixels.slice();
    for (let c = 0; c < channels; c++) {
      const grey = Math.round(pixels.subarray(c * side * side, (c + 1) * side * side).reduce((a, b) => a + b) / side ** 2);
      for (let y = top; y < bottom; y++) view.fill(grey, (c * side + y) * side + left, (c * side + y) * side + right);
    }
    views.push(view);
  }
  const lost = [];
  for (let start = 0; start < views.length; start += AT_ONCE) {
    advance(start + 1);
    await new Promise((resume) => setTimeout(resume)); // so that the page stays alive
    const part = views.slice(start, start + AT_ONCE), { logits } = await (await network)(part);
    part.forEach((_, n) => lost.push(probabilities(logits.data.slice(n * classes.length, (n + 1) * classes.length))));
  }
  return (label) => ({
    height: SQUARES, width: SQUARES, values: Float32Array.from(lost, (found) => chances[label] - found[label]),
  });
}

/** The image as the network sees it, and in grey below what speaks for the class in red and against it in blue. */
function draw(pixels, label, maps) {
  const { channels, side } = transform, plane = side * side;
  const seen = new ImageData(side, side), grey = new ImageData(side, side);
  for (let i = 0; i < plane; i++) {
    const colour = [0, 1, 2].map((c) => pixels[(channels === 1 ? 0 : c) * plane + i]);
    seen.data.set([...colour, 255], 4 * i);
    grey.data.set([...Array(3).fill(colour.reduce((a, b) => a + b) / 3), 255], 4 * i);
  }
  paint("seen", [seen], "The image as the network sees it");
  byId("why").parentElement.hidden = !maps;
  if (!maps) return;
  const { height, width, values } = maps(label);
  const reach = values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-12), heat = new ImageData(width, height);
  values.forEach((value, i) => heat.data.set([...(value > 0 ? RED : BLUE), (190 * Math.abs(value)) / reach], 4 * i));
  const most = values.indexOf(values.reduce((a, b) => Math.max(a, b)));
  const row = PLACES[Math.floor((3 * Math.floor(most / width)) / height)];
  const where = row[Math.floor((3 * (most % width)) / width)];
  paint("why", [grey, heat], `Red speaks for “${classes[label]}”, most of all ${where}; blue speaks against it`);
}

/** The images over each other, the first in squares, and the words below them. */
function paint(id, images, words) {
  const canvas = byId(id), drawn = canvas.getContext("2d"), { side } = transform;
  canvas.width = canvas.height = side * Math.max(1, Math.ceil(256 / side));
  images.forEach((image, n) => {
    const small = new OffscreenCanvas(image.width, image.height);
    small.getContext("2d").putImageData(image, 0, 0);
    drawn.imageSmoothingEnabled = n > 0;
    drawn.drawImage(small, 0, 0, canvas.width, canvas.height);
  });
  canvas.setAttribute("aria-label", words);
  canvas.nextElementSibling.textContent = `${words}.`;
}

byId("file").onchange = ({ target }) => target.files.length && answer(target.files[0]);
addEventListener("paste", ({ clipboardData }) => clipboardData.files.length && answer(clipboardData.files[0]));
addEventListener("dragover", (event) => { event.preventDefault(); byId("drop").classList.add("over"); });
addEventListener("dragleave", () => byId("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  if (event.dataTransfer.files.length) answer(event.dataTransfer.files[0]);
});
network.then(
  () => { if (!latest) byId("status").textContent = "Ready for an image."; },
  (error) => { byId("status").textContent = `The network cannot be loaded here (${error.message}).`; },
);
