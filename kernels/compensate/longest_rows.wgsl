// longest[h] = the largest norm among a head's listed slots, 0 without any.
// norms [heads, stride]; rows [all heads, stride]; rowCount [all heads]; longest [heads]. A workgroup is a head.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> rowCount: array<u32>;
@group(0) @binding(4) var<storage, read_write> longest: array<f32>;

override THREADS: u32;

var<workgroup> most: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.x;
  var own = 0.0;
  for (var i = lane; i < rowCount[head]; i += THREADS) {
    own = max(own, norms[group.x * params.stride + rows[head * params.stride + i]]);
  }
  most[lane] = own;
  for (var step = THREADS / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) { most[lane] = max(most[lane], most[lane + step]); }
  }
  if (lane == 0u) { longest[group.x] = most[0]; }
}
