// pool[h, slot, COLUMN] = hidden for slot < start, 0 for start <= slot < end, where end is the largest count among the layer's heads and start = end -
// count[h]: what stands before a head's first slot gets no attention. pool [heads, stride, WORDS], keys of a wide cache; count [all heads].
// Called once per layer, after its keys were gathered. A thread a slot (x), y over heads.
struct Params { firstHead: u32, kvHeads: u32, stride: u32, hidden: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> count: array<u32>;
@group(0) @binding(2) var<storage, read_write> pool: array<stored>;

override THREADS: u32;
override WORDS: u32;
override COLUMN: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let slot = id.x;
  var end = 0u;
  for (var other = 0u; other < params.kvHeads; other++) { end = max(end, count[params.firstHead + other]); }
  if (slot >= end) { return; }
  let start = end - count[params.firstHead + id.y];
  pool[(id.y * params.stride + slot) * WORDS + COLUMN] = stored(select(0.0, params.hidden, slot < start));
}
