// scores[h, s] = scored[h, s] - 1 for slots that were ranked, and above these 1 + (place among the live slots + 1) / live for the others.
// scored, scores [heads, stride]; start, end [heads]. A thread is a slot; workgroups: x over slots, y over heads.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scored: array<f32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let slot = start[head] + id.x;
  if (slot >= end[head]) { return; }
  let ranked = scored[head * params.stride + slot];
  let newer = 1.0 + f32(id.x + 1u) / f32(end[head] - start[head]);
  scores[head * params.stride + slot] = select(newer, ranked - 1.0, ranked > 0.0);
}
