// The attention that query rows give to every slot, as one number per slot and KV head, over `rows` rows and the GROUP heads of a group:
// mean[h, slot] = weight * the sum (MEAN), most[h, slot] = the maximum (MOST), worst[h, slot] = the maximum over rows that were first averaged over 5
// neighbouring slots and brought back to mass 1 (DEFENSIVE). For the `newest` last slots of start <= slot < end.
// queries, keys, start, end: as in softmax_rows.wgsl, which made `softmax`; mean, most, worst [all heads, stride].
// A workgroup takes a tile of slots and walks the rows in tiles: probabilities are made again, used and forgotten; a thread holds 4 x 4 of them.
// For averaging, the first and the last four slots of a tile are the neighbours' only.
struct Params {
  kvHeads: u32, firstHead: u32, stride: u32, rows: u32, firstRow: u32, behind: u32, splits: u32, scale: f32,
  newest: u32, weight: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<stored>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> softmax: array<f32>;
@group(0) @binding(6) var<storage, read_write> mean: array<f32>;
@group(0) @binding(7) var<storage, read_write> most: array<f32>;
@group(0) @binding(8) var<storage, read_write> worst: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
override GROUP: u32;
override ROW_LANES: u32;
override MEAN: bool;
override MOST: bool;
override DEFENSIVE: bool;
override SLOT_LANES: u32 = THREADS / ROW_LANES;
const DEPTH = 8u;
const PITCH = 9u;

var<workgroup> queryTile: array<vec4f, ROW_LANES * PITCH>;
var<workgroup> keyTile: array<vec4f, SLOT_LANES * PITCH>;
var<workgroup> cells: array<vec4f, THREADS>;
// Of a row of the tile: its largest logit, 1 / its sum, 1 / (5 * the mass that averaging leaves it).
var<workgroup> facts: array<vec4f, ROW_LANES * 4>;

fn query(i: u32, column: u32, kvHead: u32) -> f32 {
  if (i >= params.rows * GROUP || column >= WIDTH) { return 0.0; }
  // beyond the head's own columns the first is the slot's bias, which a chunk's own attention leaves out and its mass counts; the second hides it
  if (column >= HEAD_DIM) { return select(0.0, 1.0 / params.scale, column <= HEAD_DIM + 1u); }
  let row = params.firstRow + i / GROUP;
  return queries[(row * params.kvHeads * GROUP + kvHead * GROUP + i % GROUP) * WIDTH + column];
}

/// Slots count from -4, as a tile's neighbours may stand before the cache.
fn key(slot: i32, first: i32, until: i32, column: u32, kvHead: u32) -> f32 {
  if (slot < first || slot >= until || column >= WIDTH) { return 0.0; }
  return f32(keys[(kvHead * params.stride + u32(slot)) * WIDTH + column]);
}

/// The slot before which the sight of row i ends.
fn sight(i: u32, first: i32, all: i32) -> i32 {
  return max(first, all - i32(params.rows) + i32(i / GROUP) + 1);
}

fn factsOf(i: u32, kvHead: u32, first: i32, all: i32) -> vec4f {
  let at = (kvHead * params.rows * GROUP + i) * (2u * params.splits + 4u);
  var largest = softmax[at];
  for (var s = 1u; s < params.splits; s++) { largest = max(largest, softmax[at + 2u * s]); }
  var sum = 0.0;
  for (var s = 0u; s < params.splits; s++) { sum += softmax[at + 2u * s + 1u] * exp(softmax[at + 2u * s] - largest); }
  let part = select(0.0, 1.0 / sum, sum > 0.0);
  if (!DEFENSIVE) { return vec4f(largest, part, 0.0, 0.0); }
  // Averaging loses two fifths of what is on an outermost slot, and one of what is on the next.
  let edges = at + 2u * params.splits;
  let seen = sight(i, first, all);
  var lost = 0.0;
  for (var e = 0; e < 2; e++) {
    let share = f32(2 - e) / 5.0;
    if (first + e < seen) { lost += share * exp(softmax[edges + u32(e)] - largest) * part; }
    if (all - 1 - e >= first && all - 1 - e < seen) { lost += share * exp(softmax[edges + 3u - u32(e)] - largest) * part; }
  }
  return vec4f(largest, part, 0.2 / (1.0 - lost), 0.0);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let kvHead = group.y;
  let head = params.firstHead + kvHead;
  let first = i32(start[head]);
  let live = i32(end[head]);
  let all = live + i32(params.behind);
  let halo = select(0, 4, DEFENSIVE);
  let span = i32(4u * SLOT_LANES) - 2 * halo;
  let begin = live - i32(min(params.newest, u32(live - first))) + i32(group.x) * span;
  if (begin >= live) { return; }
  let until = min(begin + span, live);
  let tile = begin - halo;

  let rowLane = lane / SLOT_LANES;
  let slotLane = lane % SLOT_LANES;
  let slot = tile + 4 * i32(slotLane);
  let total = params.rows * GROUP;
  var sum = vec4f(0.0);
  var high = vec4f(0.0);
  var level = vec4f(0.0);

  for (var firstRow = 0u; firstRow < total; firstRow += 4u * ROW_LANES) {
    let rows = min(4u * ROW_LANES, total - firstRow);
    let seen = sight(firstRow + rows - 1u, first, all);
    if (seen <= tile) { continue; }
    for (var j = lane; j < rows; j += THREADS) { facts[j] = factsOf(firstRow + j, kvHead, first, all); }

    var dots = array<vec4f, 4>();
    for (var k = 0u; k < WIDTH; k += DEPTH) {
      for (var j = lane; j < ROW_LANES * DEPTH; j += THREADS) {
        let i = firstRow + j / DEPTH * 4u;
        let column = k + j % DEPTH;
        queryTile[j / DEPTH * PITCH + j % DEPTH] = vec4f(
          query(i, column, kvHead), query(i + 1u, column, kvHead), query(i + 2u, column, kvHead), query(i + 3u, column, kvHead)
        );
      }
      for (var j = lane; j < SLOT_LANES * DEPTH; j += THREADS) {
        let at = tile + i32(j / DEPTH * 4u);
        let column = k + j % DEPTH;
        keyTile[j / DEPTH * PITCH + j % DEPTH] = vec4f(
          key(at, first, seen, column, kvHead), key(at + 1, first, seen, column, kvHead),
          key(at + 2, first, seen, column, kvHead), key(at + 3, first, seen, column, kvHead)
        );
      }
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) {
        let q = queryTile[rowLane * PITCH + d];
        let s = keyTile[slotLane * PITCH + d];
        dots[0] += q.x * s;
        dots[1] += q.y * s;
        dots[2] += q.z * s;
        dots[3] += q.w * s;
      }
      workgroupBarrier();
    }

    for (var c = 0u; c < 4u; c++) {
      let row = 4u * rowLane + c;
      var p = vec4f(0.0);
      if (row < rows) {
        let sees = sight(firstRow + row, first, all);
        let all4 = exp(params.scale * dots[c] - facts[row].x) * facts[row].y;
        for (var s = 0; s < 4; s++) { p[s] = select(0.0, all4[s], slot + s >= first && slot + s < sees); }
      }
      sum += p;
      high = max(high, p);
      if (DEFENSIVE) {
        cells[lane] = p;
        workgroupBarrier();
        var before = vec2f(0.0);
        var after = vec2f(0.0);
        if (slotLane > 0u) { before = cells[lane - 1u].zw; }
        if (slotLane + 1u < SLOT_LANES) { after = cells[lane + 1u].xy; }
        let middle = p.x + p.y + p.z + p.w;
        let near = vec4f(
          before.x + before.y + p.x + p.y + p.z, before.y + middle, middle + after.x, p.y + p.z + p.w + after.x + after.y
        );
        if (row < rows) { level = max(level, near * facts[row].z); }
        workgroupBarrier();
      }
    }
    // the facts of the next rows take these ones' place
    workgroupBarrier();
  }

  if (MEAN) {
    cells[lane] = sum;
    workgroupBarrier();
    for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
      if (rowLane < half) { cells[lane] += cells[lane + half * SLOT_LANES]; }
      workgroupBarrier();
    }
    for (var s = 0; s < 4; s++) {
      if (rowLane == 0u && slot + s >= begin && slot + s < until) {
        mean[head * params.stride + u32(slot + s)] = params.weight * cells[lane][s];
      }
    }
    workgroupBarrier();
  }
  if (MOST) {
    cells[lane] = high;
    workgroupBarrier();
    for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
      if (rowLane < half) { cells[lane] = max(cells[lane], cells[lane + half * SLOT_LANES]); }
      workgroupBarrier();
    }
    for (var s = 0; s < 4; s++) {
      if (rowLane == 0u && slot + s >= begin && slot + s < until) {
        most[head * params.stride + u32(slot + s)] = cells[lane][s];
      }
    }
    workgroupBarrier();
  }
  if (DEFENSIVE) {
    cells[lane] = level;
    workgroupBarrier();
    for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
      if (rowLane < half) { cells[lane] = max(cells[lane], cells[lane + half * SLOT_LANES]); }
      workgroupBarrier();
    }
    for (var s = 0; s < 4; s++) {
      if (rowLane == 0u && slot + s >= begin && slot + s < until) {
        worst[head * params.stride + u32(slot + s)] = cells[lane][s];
      }
    }
  }
}
