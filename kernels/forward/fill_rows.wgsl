// pool[h, end[h] + i] = value for i < count: a slot attribute of the rows that a pass wrote behind the live slots, where it begins with the same
// number in all. pool [heads, stride]; end [heads]. A thread is a row; workgroups: x over rows, y over heads. Before `advance`.
struct Params { heads: u32, stride: u32, count: u32, value: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> end: array<u32>;
@group(0) @binding(2) var<storage, read_write> pool: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.count) { pool[id.y * params.stride + end[id.y] + id.x] = params.value; }
}
