// live[h] += count for all heads, once the rows of all layers were appended. A thread is a head.
struct Params { heads: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> live: array<u32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.heads) { live[id.x] += params.count; }
}
