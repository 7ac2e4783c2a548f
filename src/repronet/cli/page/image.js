// What of an image the network is shown, as EvalTransform makes it: the same bytes for the same decoded pixels.
// An image here is {width, height, planes}, a Uint8Array of height · width bytes a plane.

const LUMA = [0.299, 0.587, 0.114].map(Math.fround);

/** RGBA bytes, alpha not multiplied in → three planes, laid over white by Pillow's rule for alpha_composite. */
function overWhite(rgba, width, height) {
  const planes = [0, 1, 2].map(() => new Uint8Array(width * height));
  for (let i = 0; i < width * height; i++) {
    const alpha = rgba[4 * i + 3];
    for (let c = 0; c < 3; c++) {
      const mixed = 128 * (rgba[4 * i + c] * alpha + 255 * (255 - alpha)) + (128 << 7);
      planes[c][i] = alpha === 255 ? rgba[4 * i + c] : ((mixed >> 8) + mixed) >> 15;
    }
  }
  return { width, height, planes };
}

/** As many shares of 1/2, 1/4 or 1/8 as a JPEG can be decoded at and still be as large as `shortSide`, or larger. */
function draftShare({ width, height }, shortSide) {
  const scale = shortSide / Math.min(width, height);
  const wanted = [width, height].map((side) => Math.max(1, Math.trunc(side * scale)));
  const spare = Math.min(Math.floor(width / wanted[0]), Math.floor(height / wanted[1]));
  return [8, 4, 2, 1].find((share) => spare >= share) ?? 1;
}

/**
 * What decoding a JPEG at 1/share gives: the means of squares, which is what libjpeg's reduced transforms compute. It
 * differs by the decoder's rounding, and where colours are stored at a lower resolution.
 */
function drafted({ width, height, planes }, share) {
  const [w, h] = [width, height].map((side) => Math.ceil(side / share));
  const reduced = planes.map((plane) => {
    const bytes = new Uint8ClampedArray(w * h); // which rounds
    for (let i = 0; i < w * h; i++) {
      let sum = 0;
      for (let dy = 0; dy < share; dy++)
        for (let dx = 0; dx < share; dx++) {
          const y = Math.min(share * Math.floor(i / w) + dy, height - 1), x = Math.min(share * (i % w) + dx, width - 1);
          sum += plane[y * width + x];
        }
      bytes[i] = sum / share ** 2;
    }
    return bytes;
  });
  return { width: w, height: h, planes: reduced };
}

/** Which bytes of a line of `from` make each of `to`, by whole numbers that are 2^bits in sum: torch's antialiased bilinear. */
function shares(from, to) {
  const scale = from / to, reach = Math.max(scale, 1);
  let largest = 0;
  const rows = Array.from({ length: to }, (_, i) => {
    const middle = scale * (i + 0.5);
    const first = Math.max(Math.trunc(middle - reach + 0.5), 0);
    const count = Math.min(Math.trunc(middle + reach + 0.5), from) - first;
    const tent = Array.from({ length: count }, (_, j) => Math.max(1 - Math.abs((j + first - middle + 0.5) * (1 / reach)), 0));
    const total = tent.reduce((sum, value) => sum + value, 0);
    const factors = tent.map((value) => value / total);
    largest = Math.max(largest, ...factors);
    return { first, factors };
  });
  let bits = 0;
  while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++;
  for (const row of rows) row.factors = Int32Array.from(row.factors, (value) => Math.trunc(0.5 + value * 2 ** bits));
  return { rows, bits };
}

/** Lines of `plane` brought to other lengths; element i of line l stands at l · line + i · step. */
function resizedAlong(plane, lines, line, step, from, to, outLine, outStep) {
  const { rows, bits } = shares(from, to);
  const bytes = new Uint8ClampedArray(lines * to);
  for (let l = 0; l < lines; l++)
    rows.forEach(({ first, factors }, i) => {
      let sum = 1 << (bits - 1);
      for (let j = 0; j < factors.length; j++) sum += factors[j] * plane[l * line + (first + j) * step];
      bytes[l * outLine + i * outStep] = sum >> bits;
    });
  return bytes;
}

/** The shorter side brought to `side` pixels, first along the rows, then along the columns. */
function resizedTo({ width, height, planes }, side) {
  if (Math.min(width, height) === side) return { width, height, planes };
  const scale = side / Math.min(width, height);
  const [w, h] = [width, height].map((length) => Math.max(side, roundedToEven(length * scale)));
  return resized({ width, height, planes }, w, h);
}

/** The whole image as a square: squashed, or in the middle of grey. */
function squared(image, side, fit) {
  const { width, height } = image;
  if (width === height || fit === "squash") return width === side && height === side ? image : resized(image, side, side);
  const scale = side / Math.max(width, height);
  const [w, h] = [width, height].map((length) => Math.max(1, roundedToEven(length * scale)));
  const inner = resized(image, w, h), left = Math.floor((side - w) / 2), top = Math.floor((side - h) / 2);
  const planes = inner.planes.map((plane) => {
    const board = new Uint8Array(side * side).fill(128);
    for (let y = 0; y < h; y++) board.set(plane.subarray(y * w, (y + 1) * w), (y + top) * side + left);
    return board;
  });
  return { width: side, height: side, planes };
}

function resized({ width, height, planes }, w, h) {
  const made = planes.map((plane) => {
    const narrow = w === width ? plane : resizedAlong(plane, height, width, 1, width, w, w, 1);
    return h === height ? narrow : resizedAlong(narrow, w, 1, w, height, h, 1, w);
  });
  return { width: w, height: h, planes: made };
}

function roundedToEven(value) { // as Python and torch round
  const floor = Math.floor(value), rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

function grey({ width, height, planes }) {
  const plane = Uint8Array.from(planes[0], (_, i) => {
    let sum = 0; // in 32 bits at each step, as torch adds
    for (let c = 0; c < 3; c++) sum = Math.fround(sum + Math.fround(LUMA[c] * planes[c][i]));
    return roundedToEven(sum);
  });
  return { width, height, planes: [plane] };
}

/** Bytes (channels · side · side): the middle of the image, or the image in the middle of black. */
function centred({ width, height, planes }, side) {
  const left = Math.floor((width - side) / 2), top = Math.floor((height - side) / 2);
  const [padLeft, padTop] = [side - width, side - height].map((spare) => Math.max(Math.floor(spare / 2), 0));
  const bytes = new Uint8Array(planes.length * side * side);
  planes.forEach((plane, c) => {
    for (let y = 0; y < Math.min(side, height); y++)
      for (let x = 0; x < Math.min(side, width); x++)
        bytes[(c * side + y + padTop) * side + x + padLeft] =
          plane[(y + Math.max(top, 0)) * width + x + Math.max(left, 0)];
  });
  return bytes;
}

/** What the network is shown of a colour image. transform: {channels, side, shortSide, pad, readSide, fit}. */
function shown(image, transform, isJpeg) {
  if (transform.readSide !== null) {
    const share = isJpeg ? draftShare(image, transform.readSide) : 1;
    const read = share === 1 ? image : drafted(image, share);
    image = transform.fit === "crop" ? resizedTo(read, transform.readSide) : squared(read, transform.readSide, transform.fit);
  }
  if (transform.channels === 1) image = grey(image);
  const fits = Math.max(image.width, image.height) <= transform.side;
  return centred(transform.pad && fits ? image : resizedTo(image, transform.shortSide), transform.side);
}
