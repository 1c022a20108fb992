// end[h] += count for all heads, once a pass's rows stand behind the live ones of all layers. A thread is a head.
struct Params { heads: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> end: array<u32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.heads) { end[id.x] += params.count; }
}
