// pool[h, i, :] = pool[h, kept[h, i], :] for i < count[h], in place: kept rows move to the front of their head.
// pool [heads, stride, WORDS]; kept [all heads, stride], ascending; count [all heads].
// A workgroup owns a head's columns (x: stripes of COLUMNS words, y: heads) and walks its rows from the front, a block at a time: all threads read their
// words of the block, then, behind a barrier, write them. As kept[i] >= i, no block reads a row that an earlier one wrote; and no other workgroup
// touches these columns. So it is right in whatever order workgroups run.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> kept: array<u32>;
@group(0) @binding(2) var<storage, read> count: array<u32>;
@group(0) @binding(3) var<storage, read_write> pool: array<u32>;

override THREADS: u32;
override WORDS: u32;
const COLUMNS = 8u;
// Rows that a thread holds at once: enough reads in flight to hide their latency.
const HELD = 4u;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let columns = min(WORDS, COLUMNS);
  let column = group.x * columns + lane % columns;
  let rows = THREADS / columns;
  let works = lane / columns < rows && column < WORDS;
  let head = params.firstHead + group.y;
  let run = group.y * params.stride;
  let total = count[head];
  for (var first = 0u; first < total; first += rows * HELD) {
    var held: array<u32, HELD>;
    for (var k = 0u; k < HELD; k++) {
      let row = first + k * rows + lane / columns;
      if (works && row < total) { held[k] = pool[(run + kept[head * params.stride + row]) * WORDS + column]; }
    }
    storageBarrier();
    for (var k = 0u; k < HELD; k++) {
      let row = first + k * rows + lane / columns;
      if (works && row < total) { pool[(run + row) * WORDS + column] = held[k]; }
    }
  }
}
