// pool[h, start + i, :] = R(target(h, i) - position[h, kept[h, i]]) pool[h, kept[h, i], :] for i < count[h], in place: kept keys move as in
// gather.wgsl, which says where to and why it is right, and turn to where they stand under compact positions: the sinks at 0…, every other slot
// right-aligned to the longest head of all. R(n) turns the pair (x_j, x_{j + D/2}) by n times the angle of frequency j; its cos and sin are put
// together of two rows of a table: row n % 256, and row 256 + n / 256 (rotation.ts), as single-precision angles of large n would be off. pool [heads,
// stride, WORDS], f32, or two f16 in a word (HALF); a row is KEY words of key and, where WORDS > KEY, a word with the slot's bias, which does not
// turn, and others that stay as they are. kept, position [all heads, stride]; count [all heads]; turns [rows, D /
// 2]. A thread holds a word of the row's first half and its partner, or the bias.
struct Params { heads: u32, firstHead: u32, kvHeads: u32, allHeads: u32, stride: u32, sinks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> kept: array<u32>;
@group(0) @binding(2) var<storage, read> count: array<u32>;
@group(0) @binding(3) var<storage, read> position: array<i32>;
@group(0) @binding(4) var<storage, read> turns: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> pool: array<u32>;

override THREADS: u32;
override WORDS: u32;
override KEY: u32;
override HALF: bool;
const COLUMNS = 8u;
const HELD = 4u;

var<workgroup> longest: atomic<u32>;

/// cos and sin of a turn by `delta` positions, for frequency j.
fn turn(delta: i32, j: u32) -> vec2f {
  let frequencies = select(KEY / 2u, KEY, HALF);
  let n = u32(abs(delta));
  let a = turns[n % 256u * frequencies + j];
  let b = turns[(256u + n / 256u) * frequencies + j];
  let both = vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
  return select(both, vec2f(both.x, -both.y), delta < 0);
}

fn turned(pair: vec2f, by: vec2f) -> vec2f {
  return vec2f(pair.x * by.x - pair.y * by.y, pair.y * by.x + pair.x * by.y);
}

/// A word of the row's first half and its partner in the second, turned.
fn rotated(words: vec2u, delta: i32, column: u32) -> vec2u {
  if (delta == 0) { return words; }
  if (HALF) {
    let first = unpack2x16float(words.x);
    let second = unpack2x16float(words.y);
    let even = turned(vec2f(first.x, second.x), turn(delta, 2u * column));
    let odd = turned(vec2f(first.y, second.y), turn(delta, 2u * column + 1u));
    return vec2u(pack2x16float(vec2f(even.x, odd.x)), pack2x16float(vec2f(even.y, odd.y)));
  }
  return bitcast<vec2u>(turned(bitcast<vec2f>(words), turn(delta, column)));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  for (var head = lane; head < params.allHeads; head += THREADS) { atomicMax(&longest, count[head]); }
  workgroupBarrier();
  let partner = KEY / 2u;
  let all = partner + select(0u, 1u, WORDS > KEY);
  let columns = min(all, COLUMNS);
  let column = group.x * columns + lane % columns;
  let rows = THREADS / columns;
  let works = lane / columns < rows && column < all;
  let is_bias = column == partner;
  let head = params.firstHead + group.y;
  let list = head * params.stride;
  let run = group.y * params.stride;
  let total = count[head];
  let layer = head - head % params.kvHeads;
  var end = 0u;
  for (var other = layer; other < layer + params.kvHeads; other++) { end = max(end, count[other]); }
  let start = end - total;
  let shift = atomicLoad(&longest) - total;
  var split = 0u;
  var above = total;
  while (split < above) {
    let middle = (split + above) / 2u;
    if (kept[list + middle] < start + middle) { split = middle + 1u; } else { above = middle; }
  }
  for (var first = 0u; first < total; first += rows * HELD) {
    var held: array<vec2u, HELD>;
    for (var k = 0u; k < HELD; k++) {
      let step = first + k * rows + lane / columns;
      let row = select(step, split - 1u - step, step < split);
      if (works && step < total) {
        let slot = kept[list + row];
        let at = (run + slot) * WORDS;
        if (is_bias) {
          held[k].x = pool[at + KEY];
        } else {
          let stands = select(row + shift, row, row < params.sinks);
          let delta = i32(stands) - position[list + slot];
          held[k] = rotated(vec2u(pool[at + column], pool[at + column + partner]), delta, column);
        }
      }
    }
    storageBarrier();
    for (var k = 0u; k < HELD; k++) {
      let step = first + k * rows + lane / columns;
      let row = select(step, split - 1u - step, step < split);
      if (works && step < total) {
        let at = (run + start + row) * WORDS;
        pool[at + select(column, KEY, is_bias)] = held[k].x;
        if (!is_bias) { pool[at + column + partner] = held[k].y; }
      }
    }
  }
}
