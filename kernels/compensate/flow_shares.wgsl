// likeness[i, k] <- what of evicted slot i flows to its receiver index[i, k]: the softmax over likeness by temperature, divided by the receiver's load,
// normalised again; times a gate of the attention mass a of both:
//   1 (GATE 0),  min(a_i, a_j) (1),  min(1, a_i / a_j) (2)
// likeness, index [heads, stride, M]; load [heads, stride]; mass, rows, receivers [all heads, stride]; rowCount [all heads]. A thread is a row.
struct Params { heads: u32, firstHead: u32, stride: u32, temperature: f32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> load: array<f32>;
@group(0) @binding(3) var<storage, read> mass: array<f32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read> rowCount: array<u32>;
@group(0) @binding(6) var<storage, read> receivers: array<u32>;
@group(0) @binding(7) var<storage, read_write> likeness: array<f32>;

override THREADS: u32;
override M: u32;
override GATE: u32;
const NONE = 0xffffffffu;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  let head = id.y;
  if (row >= rowCount[params.firstHead + head]) { return; }
  let lists = (params.firstHead + head) * params.stride;
  let run = head * params.stride;
  let at = (run + row) * M;
  var weights = vec4f(0.0);
  var sum = 0.0;
  for (var k = 0u; k < M; k++) {
    if (index[at + k] != NONE) { weights[k] = exp((likeness[at + k] - likeness[at]) / params.temperature); }
    sum += weights[k];
  }
  var again = 0.0;
  for (var k = 0u; k < M; k++) {
    if (index[at + k] != NONE) { weights[k] = weights[k] / sum / (load[run + index[at + k]] + params.epsilon); }
    again += weights[k];
  }
  let own = mass[lists + rows[lists + row]];
  for (var k = 0u; k < M; k++) {
    var share = 0.0;
    if (index[at + k] != NONE) {
      share = weights[k] / again;
      let theirs = mass[lists + receivers[lists + index[at + k]]];
      if (GATE == 1u) { share *= min(own, theirs); }
      if (GATE == 2u && own < theirs) { share *= own / theirs; }
    }
    likeness[at + k] = share;
  }
}
