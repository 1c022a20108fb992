// pool[h, start + i, :] = pool[h, kept[h, i], :] for i < count[h], in place: the kept rows of a head become its last ones before the slot at which
// its layer now ends, the largest count among its heads; start = that end - count[h].
// pool [heads, stride, WORDS], of which columns 0…MOVED - 1 move; kept [all heads, stride], ascending; count
// [all heads]. Called once per layer for keys and values, once for all heads for a slot attribute. A workgroup owns a head's columns (x: stripes of
// COLUMNS words, y: heads) and walks its rows a block at a time: all threads read their words of the block, then, behind a barrier, write them; no
// other workgroup touches these columns. As kept rises faster than the targets, the rows that go right come before those that go left, and neither
// kind's old or new places meet the other's. Those that go right are walked from the last to the first, the others from the first on, so no block
// reads what an earlier one wrote.
struct Params { heads: u32, firstHead: u32, kvHeads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> kept: array<u32>;
@group(0) @binding(2) var<storage, read> count: array<u32>;
@group(0) @binding(3) var<storage, read_write> pool: array<u32>;

override THREADS: u32;
override WORDS: u32;
override MOVED: u32;
const COLUMNS = 8u;
// Rows that a thread holds at once: enough reads in flight to hide their latency.
const HELD = 4u;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let columns = min(MOVED, COLUMNS);
  let column = group.x * columns + lane % columns;
  let rows = THREADS / columns;
  let works = lane / columns < rows && column < MOVED;
  let head = params.firstHead + group.y;
  let list = head * params.stride;
  let run = group.y * params.stride;
  let total = count[head];
  let layer = head - head % params.kvHeads;
  var end = 0u;
  for (var other = layer; other < layer + params.kvHeads; other++) { end = max(end, count[other]); }
  let start = end - total;
  // rows before `split` go right
  var split = 0u;
  var above = total;
  while (split < above) {
    let middle = (split + above) / 2u;
    if (kept[list + middle] < start + middle) { split = middle + 1u; } else { above = middle; }
  }
  for (var first = 0u; first < total; first += rows * HELD) {
    var held: array<u32, HELD>;
    for (var k = 0u; k < HELD; k++) {
      let step = first + k * rows + lane / columns;
      let row = select(step, split - 1u - step, step < split);
      if (works && step < total) { held[k] = pool[(run + kept[list + row]) * WORDS + column]; }
    }
    storageBarrier();
    for (var k = 0u; k < HELD; k++) {
      let step = first + k * rows + lane / columns;
      let row = select(step, split - 1u - step, step < split);
      if (works && step < total) { pool[(run + start + row) * WORDS + column] = held[k]; }
    }
  }
}
