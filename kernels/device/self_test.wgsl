// Known answers: element i of the first 1,024 is 3 i + 1; element 1024 + g is the sum of 3 i + 1 over the 64 elements of workgroup g, made by a tree
// with barriers. Run once before a device is trusted (self_test.ts).
@group(0) @binding(0) var<storage, read_write> out: array<f32>;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let value = 3.0 * f32(id.x) + 1.0;
  out[id.x] = value;
  sums[lane] = value;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { out[1024u + group.x] = sums[0]; }
}
