// copy[h, toFirst + r, TO_COLUMN + c] = origin[h, r, FROM_COLUMN + c] for r < count, c < COLUMNS: where heads and rows begin, the steps say, in words.
// A thread is a row; workgroups: x over rows, y over heads.
struct Params { count: u32, fromHead: u32, fromRow: u32, toHead: u32, toRow: u32, toFirst: u32, heads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> origin: array<u32>;
@group(0) @binding(2) var<storage, read_write> copy: array<u32>;

override THREADS: u32;
override COLUMNS: u32;
override FROM_COLUMN: u32;
override TO_COLUMN: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.count) { return; }
  let begin = id.y * params.fromHead + id.x * params.fromRow + FROM_COLUMN;
  let to = id.y * params.toHead + (params.toFirst + id.x) * params.toRow + TO_COLUMN;
  for (var c = 0u; c < COLUMNS; c++) { copy[to + c] = origin[begin + c]; }
}
