// Rows of numbers as int8 with a scale per row: the largest number of a row is ±127. Every integer is stored 128 higher, four to a word.
// `rows` begins a row every rowStep words and a head every headStep; data [heads, stride, D / 4] and scales [heads, stride] take row r as slot first + r.
// To the nearest, halves to even; with CHANCE up or down by a chance of the number's bits and its place, whole numbers aside.
// A thread is a row; workgroups: x over rows, y over heads.
struct Params { stride: u32, headStep: u32, rowStep: u32, first: u32, count: u32, heads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read_write> data: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<f32>;

override THREADS: u32;
override D: u32;
override CHANCE: bool;

fn scattered(bits: u32, place: u32) -> f32 {
  var x = bits ^ (place * 0x9e3779b1u);
  x = (x ^ (x >> 16u)) * 0x85ebca6bu;
  x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
  return f32((x ^ (x >> 16u)) >> 8u) / 16777216.0;
}

fn whole(x: f32, number: f32, place: u32) -> f32 {
  let nearest = round(x);
  if (!CHANCE || abs(x - nearest) < 1e-3) { return nearest; }
  return floor(x + scattered(bitcast<u32>(number), place));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.count) { return; }
  let begin = id.y * params.headStep + id.x * params.rowStep;
  let slot = id.y * params.stride + params.first + id.x;
  var most = 0.0;
  for (var i = 0u; i < D; i++) { most = max(most, abs(rows[begin + i])); }
  let scale = most / 127.0;
  scales[slot] = scale;
  let factor = select(0.0, 1.0 / scale, scale > 0.0);
  for (var i = 0u; i < D; i += 4u) {
    var word = 0u;
    for (var j = 0u; j < 4u; j++) {
      let number = rows[begin + i + j];
      let integer = clamp(whole(number * factor, number, slot * D + i + j), -127.0, 127.0);
      word |= u32(i32(integer) + 128) << (8u * j);
    }
    data[(slot * D + i) / 4u] = word;
  }
}
