// rows[h, r] = (data[h, r] - 128) * scales[h, r]: what quantise_rows stored, data [heads, stride, D / 4] and scales [heads, stride], in float32
// [heads, stride, WIDTH], whose columns from D on stay. A thread is a word; workgroups: x over the words of a head, y over heads.
struct Params { stride: u32, heads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read_write> rows: array<f32>;

override THREADS: u32;
override D: u32;
override WIDTH: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let words = D / 4u;
  if (id.x >= params.stride * words) { return; }
  let slot = id.y * params.stride + id.x / words;
  let column = 4u * (id.x % words);
  let word = data[slot * words + id.x % words];
  let scale = scales[slot];
  for (var j = 0u; j < 4u; j++) {
    rows[slot * WIDTH + column + j] = f32(i32((word >> (8u * j)) & 255u) - 128) * scale;
  }
}
