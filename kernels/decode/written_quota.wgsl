// shielded[h, s] = 1 for what was read, 0 for the last `written` live slots; quota[h] = what was read and at most `budget` of what was written: with
// these, top_k.wgsl evicts only written slots. shielded [heads, stride]; start, end, quota [heads]. A thread is a slot; workgroups: x over slots, y over heads.
struct Params { heads: u32, stride: u32, written: u32, budget: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> start: array<u32>;
@group(0) @binding(2) var<storage, read> end: array<u32>;
@group(0) @binding(3) var<storage, read_write> shielded: array<u32>;
@group(0) @binding(4) var<storage, read_write> quota: array<u32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let live = end[head] - start[head];
  let written = min(params.written, live);
  if (id.x == 0u) { quota[head] = live - written + min(written, params.budget); }
  if (id.x < live) { shielded[head * params.stride + start[head] + id.x] = u32(id.x < live - written); }
}
