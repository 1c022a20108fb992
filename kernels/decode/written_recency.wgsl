// scores[h, e - written + i] = i for i < written and e = end[h]: what was written last stays. scores [heads, stride]; end [heads].
// A thread is a written slot; workgroups: x over these, y over heads.
struct Params { heads: u32, stride: u32, written: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> end: array<u32>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.written) { scores[id.y * params.stride + end[id.y] - params.written + id.x] = f32(id.x); }
}
