// pool[h, i, :] = R(target(h, i) - position[h, kept[h, i]]) pool[h, kept[h, i], :] for i < count[h], in place: kept keys move to the front of their
// head and turn to where they stand under compact positions: the sinks at 0…, every other slot right-aligned to the longest head.
// R(n) turns the pair (x_j, x_{j + D/2}) by n times the angle of frequency j; its cos and sin are put together of two rows of a table: row n % 256, and
// row 256 + n / 256 (rotation.ts), as single-precision angles of large n would be off.
// pool [heads, stride, WORDS], f32, or two f16 in a word (HALF); kept, position [all heads, stride]; count [all heads]; turns [rows, D / 2].
// In place as gather.wgsl, which says why it is right; a thread holds a word of the row's first half and its partner.
struct Params { heads: u32, firstHead: u32, allHeads: u32, stride: u32, sinks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> kept: array<u32>;
@group(0) @binding(2) var<storage, read> count: array<u32>;
@group(0) @binding(3) var<storage, read> position: array<i32>;
@group(0) @binding(4) var<storage, read> turns: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> pool: array<u32>;

override THREADS: u32;
override WORDS: u32;
override HALF: bool;
const COLUMNS = 8u;
const HELD = 4u;

var<workgroup> longest: atomic<u32>;

/// cos and sin of a turn by `delta` positions, for frequency j.
fn turn(delta: i32, j: u32) -> vec2f {
  let frequencies = select(WORDS / 2u, WORDS, HALF);
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
  let partner = WORDS / 2u;
  let columns = min(partner, COLUMNS);
  let column = group.x * columns + lane % columns;
  let rows = THREADS / columns;
  let works = lane / columns < rows && column < partner;
  let head = params.firstHead + group.y;
  let run = group.y * params.stride;
  let total = count[head];
  let shift = atomicLoad(&longest) - total;
  for (var first = 0u; first < total; first += rows * HELD) {
    var held: array<vec2u, HELD>;
    for (var k = 0u; k < HELD; k++) {
      let row = first + k * rows + lane / columns;
      if (works && row < total) {
        let slot = kept[head * params.stride + row];
        let at = (run + slot) * WORDS + column;
        let stands = select(row + shift, row, row < params.sinks);
        let delta = i32(stands) - position[head * params.stride + slot];
        held[k] = rotated(vec2u(pool[at], pool[at + partner]), delta, column);
      }
    }
    storageBarrier();
    for (var k = 0u; k < HELD; k++) {
      let row = first + k * rows + lane / columns;
      if (works && row < total) {
        let at = (run + row) * WORDS + column;
        pool[at] = held[k].x;
        pool[at + partner] = held[k].y;
      }
    }
  }
}
