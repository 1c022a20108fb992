// source[h, end[h] + i] = firstSource + i and position[h, end[h] + i] = firstPosition + i for i < count: whose the rows are that a pass wrote behind
// the live slots. source, position [heads, stride]; end [heads]. A thread is a row; workgroups: x over rows, y over heads. Before `advance`.
struct Params { heads: u32, stride: u32, count: u32, firstSource: i32, firstPosition: i32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> end: array<u32>;
@group(0) @binding(2) var<storage, read_write> source: array<i32>;
@group(0) @binding(3) var<storage, read_write> position: array<i32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.count) { return; }
  let at = id.y * params.stride + end[id.y] + id.x;
  source[at] = params.firstSource + i32(id.x);
  position[at] = params.firstPosition + i32(id.x);
}
