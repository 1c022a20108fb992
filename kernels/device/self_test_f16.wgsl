// Known answers in half precision: element i of 1,024 is i / 2 + 1, exact in f16. f16 was once silently zero (denoland/deno#23125).
enable f16;

@group(0) @binding(0) var<storage, read_write> out: array<f16>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  out[id.x] = f16(id.x) * 0.5h + 1.0h;
}
