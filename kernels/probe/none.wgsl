// scores[h, s] = s - start[h]: a slot's place, newer is higher.
// scores [heads, stride]; start, end [heads]. A thread is a slot; workgroups: x over slots, y over heads.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> start: array<u32>;
@group(0) @binding(2) var<storage, read> end: array<u32>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = start[id.y] + id.x;
  if (slot < end[id.y]) { scores[id.y * params.stride + slot] = f32(id.x); }
}
