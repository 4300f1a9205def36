/* onnx_int8.h - the network as an ONNX file in int8, for other programs to run: QuantizeLinear and
   DequantizeLinear around every layer (QDQ). Batch norm is folded into the weights, which are int8 with a
   scale for each output channel; activations are bytes with a scale and zero of their own. Their ranges
   need no pictures: behind a norm a channel has mean beta and deviation gamma, and ends at four of them.
   The last layer stays in floats. */
#ifndef PROGRAM_ONNX_INT8_H_INCLUDED
#define PROGRAM_ONNX_INT8_H_INCLUDED

#include "onnx.h"

enum {
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_INT32 = 6,
    INT8_NODES = 8192
};

/* The output of a node: where it ends, and how it is quantized: (byte - zero) * step. */
typedef struct int8_range {
    float low, high, step;
    int32_t zero, uses;
    bool raw;    /* a float as yet: what uses it goes on with the float, and is quantized */
    bool folded; /* a convolution that its norm stands for */
} int8_range;

typedef struct int8_file {
    onnx o;
    int8_range *of; /* by node */
} int8_file;

static void append_float(growing *to, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    append_little(to, bits, 4);
}

/* Scales and zeros, for the next two inputs of a node: of a tensor (count 0), or of its channels. */
static void int8_scales(onnx *o, growing *node, const char *of, const float *scales, size_t count,
                        int type, int32_t zero)
{
    const int64_t dims[] = {(int64_t)count};
    growing steps = {0}, zeros = {0};
    char name[64];
    for (size_t i = 0; i < (count ? count : 1); i++) {
        append_float(&steps, scales[i]);
        append_little(&zeros, (uint32_t)zero, type == ONNX_INT32 ? 4 : 1);
    }
    snprintf(name, sizeof name, "%s.scale", of);
    onnx_stored(o, name, ONNX_FLOAT, dims, count ? 1 : 0, &steps);
    put_text(node, 1, name);
    snprintf(name, sizeof name, "%s.zero", of);
    onnx_stored(o, name, type, dims, count ? 1 : 0, &zeros);
    put_text(node, 1, name);
}

/* Floats in from to bytes and back, as name. */
static void int8_round(int8_file *x, const char *from, const char *name, const int8_range *r)
{
    growing down = onnx_node("QuantizeLinear", from), up;
    char bytes[64], scale[64], zero[64];
    snprintf(bytes, sizeof bytes, "%s.bytes", name);
    snprintf(scale, sizeof scale, "%s.scale", name), snprintf(zero, sizeof zero, "%s.zero", name);
    int8_scales(&x->o, &down, name, &r->step, 0, ONNX_UINT8, r->zero);
    onnx_end(&x->o, &down, bytes);
    up = onnx_node("DequantizeLinear", bytes);
    put_text(&up, 1, scale), put_text(&up, 1, zero);
    onnx_end(&x->o, &up, name);
}

static void int8_choose(int8_range *r)
{
    if (r->low > 0) r->low = 0;
    if (r->high <= r->low) r->high = r->low + 1;
    r->step = (r->high - r->low) / 255;
    r->zero = (int32_t)(-r->low / r->step + 0.5f);
}

static const tensor *int8_tensor(const int8_file *x, int32_t node, const char *part)
{
    for (size_t i = 0; i < x->o.list->count; i++) {
        const tensor *t = &x->o.list->of[i];
        if (t->own.node == node && strcmp(t->own.part, part) == 0) return t;
    }
    return NULL;
}

/* Factor and offset of a channel behind convolution conv, of the norm. */
static void int8_norm(const int8_file *x, int32_t conv, int32_t norm, float epsilon, size_t ch,
                      float *factor, float *offset)
{
    const tensor *bias = int8_tensor(x, conv, "bias");
    const float mean = int8_tensor(x, norm, "running_mean")->own.values[ch];
    const float variance = int8_tensor(x, norm, "running_var")->own.values[ch];
    *factor = int8_tensor(x, norm, "weight")->own.values[ch] / sqrtf(variance + epsilon);
    *offset = int8_tensor(x, norm, "bias")->own.values[ch] - mean * *factor;
    if (bias) *offset += bias->own.values[ch] * *factor;
}

/* Weights of a convolution with its norm, and its bias, as the next inputs of a node. */
static bool int8_weights(int8_file *x, growing *node, int32_t conv, const int8_range *in)
{
    const tensor *w = int8_tensor(x, conv, "weight");
    const size_t c_out = (size_t)w->dims[0], each = w->own.count / c_out;
    const int64_t count[] = {w->dims[0]};
    growing bytes = {0}, biases = {0}, weight, bias;
    float *scales = malloc(2 * c_out * sizeof *scales), *sums = scales ? scales + c_out : NULL;
    char name[3][64];
    if (!scales) return false;
    for (size_t co = 0; co < c_out; co++) {
        float factor, offset, most = 0;
        int8_norm(x, conv, x->o.node, x->o.layer.epsilon, co, &factor, &offset);
        for (size_t i = 0; i < each; i++) {
            const float v = fabsf(*number_at(w, co * each + i) * factor);
            if (v > most) most = v;
        }
        scales[co] = most > 0 ? most / 127 : 1, sums[co] = scales[co] * in->step;
        for (size_t i = 0; i < each; i++) {
            const float v = *number_at(w, co * each + i) * factor / scales[co];
            append_little(&bytes, (uint64_t)(int64_t)lrintf(v), 1);
        }
        append_little(&biases, (uint64_t)(int64_t)lrintf(offset / sums[co]), 4);
    }
    snprintf(name[0], sizeof name[0], "node%d.weight", (int)conv);
    snprintf(name[1], sizeof name[1], "node%d.bias", (int)conv);
    for (int i = 0; i < 2; i++) {
        char stored[80];
        snprintf(stored, sizeof stored, "%s.integers", name[i]);
        onnx_stored(&x->o, stored, i ? ONNX_INT32 : ONNX_INT8, i ? count : w->dims,
                    i ? 1 : w->own.rank, i ? &biases : &bytes);
        growing *at = i ? &bias : &weight;
        *at = onnx_node("DequantizeLinear", stored);
        int8_scales(&x->o, at, name[i], i ? sums : scales, c_out, i ? ONNX_INT32 : ONNX_INT8, 0);
        put_one_int(at, "axis", 0);
        onnx_end(&x->o, at, name[i]);
        put_text(node, 1, name[i]);
    }
    free(scales);
    return true;
}

/* A norm with the convolution that it reads. */
static bool int8_convolution(int8_file *x, const char *to)
{
    onnx *o = &x->o;
    const int32_t conv = o->layer.inputs[0], norm = o->node;
    mls_layer layer = o->layer;
    int8_range *r = &x->of[norm];
    char input[32];
    growing node;
    mls_net_layer(o->list->net, conv, &o->layer);
    onnx_name(o, o->layer.inputs[0], input);
    const int8_range *in = &x->of[o->layer.inputs[0]];
    node = onnx_node("Conv", input);
    onnx_convolution(o, &node);
    o->layer = layer;
    if (!int8_weights(x, &node, conv, in)) return false;
    onnx_end(o, &node, to);
    for (size_t ch = 0; ch < (size_t)layer.shape.c; ch++) {
        const float beta = int8_tensor(x, norm, "bias")->own.values[ch];
        const float four = 4 * fabsf(int8_tensor(x, norm, "weight")->own.values[ch]);
        if (beta - four < r->low) r->low = beta - four;
        if (beta + four > r->high) r->high = beta + four;
    }
    return true;
}

/* Where the output of a layer that only moves or adds numbers ends: of sums as deviations add up. */
static void int8_ends(int8_file *x)
{
    const mls_layer *layer = &x->o.layer;
    int8_range *r = &x->of[x->o.node];
    for (int i = 0; i < 2 && layer->inputs[i] >= 0; i++) {
        const int8_range *in = &x->of[layer->inputs[i]];
        if (strcmp(layer->kind, "add") == 0) {
            r->low = -hypotf(r->low, in->low), r->high = hypotf(r->high, in->high);
        } else {
            r->low = fminf(r->low, in->low), r->high = fmaxf(r->high, in->high);
        }
    }
    if (strcmp(layer->kind, "relu") == 0) r->low = 0;
    if (strcmp(layer->kind, "sigmoid") == 0) r->low = 0, r->high = 1;
}

/* The layer at hand. What one relu alone reads waits for it; the last layers are floats. */
static bool int8_layer(int8_file *x, const struct onnx_row *row, failure *f)
{
    onnx *o = &x->o;
    int8_range *r = &x->of[o->node];
    const bool norm = strcmp(row->kind, "batch norm") == 0;
    const bool last = strcmp(row->kind, "linear") == 0 || strstr(row->kind, "loss");
    char name[32], raw[40];
    if (strcmp(row->kind, "convolution") == 0) return true; /* with its norm */
    if (norm && !x->of[o->layer.inputs[0]].folded) {
        return fail(f, 2, "--onnx-int8: node %d is a batch norm behind no convolution of its own",
                    (int)o->node);
    }
    snprintf(name, sizeof name, "node%d", (int)o->node);
    snprintf(raw, sizeof raw, "%s.floats", name);
    if (norm && !int8_convolution(x, r->raw ? name : raw)) return fail(f, 1, "no memory");
    if (!norm) {
        int8_ends(x);
        o->behind = last || r->raw ? "" : ".floats";
        onnx_layer(o, row);
    }
    if (last || r->raw) return true;
    int8_choose(r);
    int8_round(x, raw, name, r);
    return true;
}

/* What each node is to the others: how often it is read, by a relu or a norm alone. */
static bool int8_look(int8_file *x, failure *f)
{
    mls_layer layer;
    for (int32_t i = 0; mls_net_layer(x->o.list->net, i, &layer) == MLS_OK; i++) {
        if (i == INT8_NODES) return fail(f, 2, "--onnx-int8: over %d layers", INT8_NODES);
        for (int j = 0; j < 2; j++) {
            if (layer.inputs[j] >= 0) x->of[layer.inputs[j]].uses++;
        }
    }
    for (int32_t i = 0; mls_net_layer(x->o.list->net, i, &layer) == MLS_OK; i++) {
        const bool relu = strcmp(layer.kind, "relu") == 0;
        if (layer.inputs[0] < 0 || x->of[layer.inputs[0]].uses != 1) continue;
        x->of[layer.inputs[0]].raw = relu;
        x->of[layer.inputs[0]].folded = strcmp(layer.kind, "batch norm") == 0;
    }
    for (int32_t i = 1; mls_net_layer(x->o.list->net, i, &layer) == MLS_OK; i++) {
        if (strcmp(layer.kind, "l1 norm") != 0 &&
            (strcmp(layer.kind, "convolution") != 0 || x->of[i].folded)) {
            continue;
        }
        return fail(f, 2, "--onnx-int8: node %d is a %s that no batch norm follows", (int)i,
                    layer.kind);
    }
    return true;
}

static bool int8_graph(int8_file *x, failure *f)
{
    onnx *o = &x->o;
    put_text(&o->graph, 2, "mls");
    for (o->node = 0; mls_net_layer(o->list->net, o->node, &o->layer) == MLS_OK; o->node++) {
        const struct onnx_row *row = onnx_row_of(o->layer.kind);
        const int32_t picture[] = {o->layer.shape.c, o->layer.shape.h, o->layer.shape.w};
        if (o->node && !row) {
            return fail(f, 2, "--onnx-int8: node %d is a layer of kind %s, which has no ONNX here",
                        (int)o->node, o->layer.kind);
        }
        if (o->node && !int8_layer(x, row, f)) return false;
        if (o->node) continue;
        onnx_value(o, 11, "input", picture, 3);
        x->of[0].low = -4, x->of[0].high = 4; /* normalised pixels */
        int8_choose(&x->of[0]);
        int8_round(x, "input", "node0", &x->of[0]);
    }
    onnx_value(o, 12, "logits", &o->layer.shape.c, 1);
    for (size_t i = 0; i < o->list->count; i++) {
        mls_net_layer(o->list->net, o->list->of[i].own.node, &o->layer);
        if (strcmp(o->layer.kind, "linear") == 0) onnx_tensor(o, &o->list->of[i]);
    }
    return true;
}

static bool write_onnx_int8(const tensors *list, const settings *about, const char *path,
                            failure *f)
{
    int8_file x = {.o = {.list = list, .first = "node0", .behind = ""}};
    x.of = calloc(INT8_NODES, sizeof *x.of);
    bool good = x.of ? int8_look(&x, f) && int8_graph(&x, f) : fail(f, 1, "no memory");
    free(x.of);
    if (!good) return free(x.o.graph.at), false;
    return save_onnx(&x.o.graph, about, path, f);
}

#endif /* PROGRAM_ONNX_INT8_H_INCLUDED */
