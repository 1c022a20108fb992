// pool[h, live[firstHead + h] + s, :] = rows[h, s, :] for s < count: a pass's new key or value rows go behind the live ones of every head of a layer.
// rows: row s of head h begins at word h * headStep + s * rowStep; pool [heads, stride, WORDS]; live [all heads].
// A thread copies a word; workgroups: x over the words of a head's new rows, y over heads.
struct Params { heads: u32, firstHead: u32, count: u32, stride: u32, headStep: u32, rowStep: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> live: array<u32>;
@group(0) @binding(3) var<storage, read_write> pool: array<u32>;

override THREADS: u32;
override WORDS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x / WORDS;
  let word = id.x % WORDS;
  let head = id.y;
  if (row >= params.count) { return; }
  let slot = live[params.firstHead + head] + row;
  pool[(head * params.stride + slot) * WORDS + word] = rows[head * params.headStep + row * params.rowStep + word];
}
