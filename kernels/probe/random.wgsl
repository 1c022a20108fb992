// scores[h, s] = a fixed number in [0, 1) of head h and token source[h, s]: the finaliser of MurmurHash3, 24 bits of it, which a float32 holds exactly.
// scores, source [heads, stride]; start, end [heads]. A thread is a slot; workgroups: x over slots, y over heads.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<i32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let slot = start[head] + id.x;
  if (slot >= end[head]) { return; }
  let at = head * params.stride + slot;
  var bits = ((u32(source[at]) + 1u) * 0x9e3779b1u) ^ ((head + 1u) * 0x85ebca77u);
  bits = (bits ^ (bits >> 16u)) * 0x85ebca6bu;
  bits = (bits ^ (bits >> 13u)) * 0xc2b2ae35u;
  scores[at] = f32((bits ^ (bits >> 16u)) >> 8u) / 16777216.0;
}
