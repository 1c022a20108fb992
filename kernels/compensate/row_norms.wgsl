// norms[h, s] = |pool[h, s, 0..D]| for the live slots of a layer's heads.
// pool [heads, stride, WIDTH], f32; start, end (live slots: start <= slot < end) [all heads]; norms [heads, stride].
// LANES threads are a row, so that they read words next to each other; workgroups: x over slots, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pool: array<stored>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> norms: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
const LANES = 8u;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let column = lane % LANES;
  let slot = group.x * (THREADS / LANES) + lane / LANES;
  let isLive = slot >= start[params.firstHead + head] && slot < end[params.firstHead + head];
  let at = head * params.stride + slot;
  var sum = 0.0;
  if (isLive) {
    for (var d = column; d < D; d += LANES) {
      let x = f32(pool[at * WIDTH + d]);
      sum += x * x;
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (isLive && column == 0u) {
    var all = 0.0;
    for (var i = 0u; i < LANES; i++) { all += sums[lane + i]; }
    norms[at] = sqrt(all);
  }
}
