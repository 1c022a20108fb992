// For every listed row i of head h the M columns j (slots of another list) that are most like it, the best first, equal ones by the earlier column:
//   product   k_i · k_j / √D                    (LIKENESS 0)
//   cosine    k_i · k_j / (|k_i| |k_j|)         (1; 0 where a key is all zeros)
//   nearness  2 k_i · k_j - |k_j|²              (2; |k_i|² - |k_i - k_j|²: the most of it is the least distance)
// likeness, index [heads, stride, M]: place in the list of columns, NONE where there are fewer than M columns. pool [heads, stride, WIDTH] (keys, in fours);
// norms [heads, stride]; rows, columns [all heads, stride]; rowCount, columnCount [all heads].
// LANES threads are a row. Tiles of COLUMNS columns and DEPTH fours of dimensions pass through workgroup memory; a thread keeps the best four of its
// columns, one in LANES, and in the end those of a row's threads are joined. Workgroups: x over rows, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pool: array<vec4<stored>>;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> rowCount: array<u32>;
@group(0) @binding(5) var<storage, read> columns: array<u32>;
@group(0) @binding(6) var<storage, read> columnCount: array<u32>;
@group(0) @binding(7) var<storage, read_write> likeness: array<f32>;
@group(0) @binding(8) var<storage, read_write> index: array<u32>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
override M: u32;
override LIKENESS: u32;
const LANES = 16u;
// Columns of a tile that a thread multiplies: 4 × LANES.
const COLUMNS = 64u;
const DEPTH = 4u;
// Against all of a tile's columns lying in one bank of memory.
const PITCH = 65u;
const NONE = 0xffffffffu;
const LEAST = -3.4e38;

// [row][depth], for up to 256 threads.
var<workgroup> rowTile: array<vec4f, 64>;
// [depth][column]
var<workgroup> columnTile: array<vec4f, 260>;
var<workgroup> bestLikeness: array<vec4f, THREADS>;
var<workgroup> bestIndex: array<vec4u, THREADS>;

struct Best { likeness: vec4f, index: vec4u }

fn isBetter(a: f32, i: u32, b: f32, j: u32) -> bool { return a > b || (a == b && i < j); }

/// The best four of five.
fn join(best: Best, a: f32, i: u32) -> Best {
  let l = best.likeness;
  let at = best.index;
  if (!isBetter(a, i, l.w, at.w)) { return best; }
  if (!isBetter(a, i, l.z, at.z)) { return Best(vec4f(l.xyz, a), vec4u(at.xyz, i)); }
  if (!isBetter(a, i, l.y, at.y)) { return Best(vec4f(l.xy, a, l.z), vec4u(at.xy, i, at.z)); }
  if (!isBetter(a, i, l.x, at.x)) { return Best(vec4f(l.x, a, l.yz), vec4u(at.x, i, at.yz)); }
  return Best(vec4f(a, l.xyz), vec4u(i, at.xyz));
}

fn like(product: f32, row: u32, column: u32) -> f32 {
  if (LIKENESS == 0u) { return product / sqrt(f32(D)); }
  let theirs = norms[column];
  if (LIKENESS == 2u) { return 2.0 * product - theirs * theirs; }
  let both = norms[row] * theirs;
  if (both == 0.0) { return 0.0; }
  return product / both;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.y;
  let lists = head * params.stride;
  let run = group.y * params.stride;
  let rowsHere = THREADS / LANES;
  let firstRow = group.x * rowsHere;
  let total = rowCount[head];
  let width = columnCount[head];
  if (firstRow >= total) { return; }
  let mine = firstRow + lane / LANES;
  let slot = run + rows[lists + min(mine, total - 1u)];
  var best = Best(vec4f(LEAST), vec4u(NONE));

  for (var firstColumn = 0u; firstColumn < width; firstColumn += COLUMNS) {
    var products = vec4f(0.0);
    for (var first = 0u; first < D / 4u; first += DEPTH) {
      for (var i = lane; i < rowsHere * DEPTH; i += THREADS) {
        let row = firstRow + i / DEPTH;
        let four = first + i % DEPTH;
        var x = vec4f(0.0);
        if (row < total && four < D / 4u) { x = vec4f(pool[(run + rows[lists + row]) * (WIDTH / 4u) + four]); }
        rowTile[i] = x;
      }
      for (var i = lane; i < COLUMNS * DEPTH; i += THREADS) {
        let column = firstColumn + i / DEPTH;
        let four = first + i % DEPTH;
        var x = vec4f(0.0);
        if (column < width && four < D / 4u) { x = vec4f(pool[(run + columns[lists + column]) * (WIDTH / 4u) + four]); }
        columnTile[(i % DEPTH) * PITCH + i / DEPTH] = x;
      }
      workgroupBarrier();
      for (var k = 0u; k < DEPTH; k++) {
        let x = rowTile[(lane / LANES) * DEPTH + k];
        let at = k * PITCH + lane % LANES;
        products += vec4f(
          dot(x, columnTile[at]),
          dot(x, columnTile[at + LANES]),
          dot(x, columnTile[at + 2u * LANES]),
          dot(x, columnTile[at + 3u * LANES]),
        );
      }
      workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
      let column = firstColumn + lane % LANES + i * LANES;
      if (column < width) {
        best = join(best, like(products[i], slot, run + columns[lists + column]), column);
      }
    }
  }

  bestLikeness[lane] = best.likeness;
  bestIndex[lane] = best.index;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane % LANES < step) {
      for (var i = 0u; i < 4u; i++) { best = join(best, bestLikeness[lane + step][i], bestIndex[lane + step][i]); }
      bestLikeness[lane] = best.likeness;
      bestIndex[lane] = best.index;
    }
  }
  if (lane % LANES == 0u && mine < total) {
    for (var i = 0u; i < M; i++) {
      likeness[(run + mine) * M + i] = best.likeness[i];
      index[(run + mine) * M + i] = best.index[i];
    }
  }
}
