/* onnx.h - the network as an ONNX file: input `input` [N][c][h][w], normalised, and output `logits`. An ONNX file
   is a protocol buffer: fields with a number, each a varint, four bytes, or bytes with their length */
#ifndef PROGRAM_ONNX_H_INCLUDED
#define PROGRAM_ONNX_H_INCLUDED

#include "tensors.h"

enum {
    ONNX_VERSION = 7, /* of the file, */
    ONNX_OPSET = 13,  /* and of its operators */
    ONNX_FLOAT = 1,
    ONNX_INT64 = 7
};

static void put_varint(growing *to, uint64_t value)
{
    for (; value > 127; value >>= 7) append_little(to, (value & 127) | 128, 1);
    append_little(to, value, 1);
}

static void put_int(growing *to, uint64_t field, int64_t value)
{
    put_varint(to, field << 3), put_varint(to, (uint64_t)value);
}

static void put_bytes(growing *to, uint64_t field, const char *bytes, size_t count)
{
    put_varint(to, field << 3 | 2), put_varint(to, count), append(to, bytes, count);
}

static void put_text(growing *to, uint64_t field, const char *text)
{
    put_bytes(to, field, text, strlen(text));
}

/* Takes the message. */
static void put_message(growing *to, uint64_t field, growing *message)
{
    to->no_memory |= message->no_memory;
    put_bytes(to, field, message->at, message->at ? message->length : 0);
    free(message->at);
    memset(message, 0, sizeof *message);
}

/* ---- attributes of a node */

static void put_ints(growing *node, const char *name, const int32_t *values, int count)
{
    growing attribute = {0};
    put_text(&attribute, 1, name);
    for (int i = 0; i < count; i++) put_int(&attribute, 8, values[i]);
    put_int(&attribute, 20, 7);
    put_message(node, 5, &attribute);
}

static void put_one_int(growing *node, const char *name, int32_t value)
{
    growing attribute = {0};
    put_text(&attribute, 1, name), put_int(&attribute, 3, value), put_int(&attribute, 20, 2);
    put_message(node, 5, &attribute);
}

static void put_one_float(growing *node, const char *name, float value)
{
    growing attribute = {0};
    uint32_t bits;
    memcpy(&bits, &value, 4);
    put_text(&attribute, 1, name);
    put_varint(&attribute, 2 << 3 | 5), append_little(&attribute, bits, 4);
    put_int(&attribute, 20, 1);
    put_message(node, 5, &attribute);
}

/* ---- the layers */

typedef struct onnx {
    growing graph;
    const tensors *list;
    int32_t node; /* at hand, and what it is */
    mls_layer layer;
    char input[32], output[32]; /* names of its first input and its output */
    int before;                 /* nodes before its own */
    const char *first, *behind; /* name of the network's input; what names of outputs end in */
} onnx;

static const char *onnx_name(const onnx *o, int32_t node, char name[32])
{
    if (!node) snprintf(name, 32, "%s", o->first);
    if (node) snprintf(name, 32, "node%d", (int)node);
    return name;
}

/* Starts a node of the graph. */
static growing onnx_node(const char *op, const char *input)
{
    growing node = {0};
    put_text(&node, 4, op), put_text(&node, 1, input);
    return node;
}

static void onnx_end(onnx *o, growing *node, const char *output)
{
    put_text(node, 2, output), put_text(node, 3, output);
    put_message(&o->graph, 1, node);
}

/* A tensor of the graph; takes its bytes. */
static void onnx_stored(onnx *o, const char *name, int type, const int64_t *dims, int rank,
                        growing *raw)
{
    growing stored = {0};
    for (int i = 0; i < rank; i++) put_int(&stored, 1, dims[i]);
    put_int(&stored, 2, type), put_text(&stored, 8, name);
    put_message(&stored, 9, raw);
    put_message(&o->graph, 5, &stored);
}

/* Constants of integers, the next input of a node. */
static void onnx_constant(onnx *o, growing *node, const char *name, const int32_t *values,
                          int count)
{
    const int64_t dims[] = {count};
    growing raw = {0};
    char whole[64];
    snprintf(whole, sizeof whole, "%s.%s", o->output, name);
    for (int i = 0; i < count; i++) append_little(&raw, (uint64_t)values[i], 8);
    onnx_stored(o, whole, ONNX_INT64, dims, 1, &raw);
    put_text(node, 1, whole);
}

/* A float, the next input of a node. */
static void onnx_number(onnx *o, growing *node, const char *name, float value)
{
    growing raw = {0};
    char whole[64];
    uint32_t bits;
    memcpy(&bits, &value, 4);
    snprintf(whole, sizeof whole, "%s.%s", o->output, name);
    append_little(&raw, bits, 4);
    onnx_stored(o, whole, ONNX_FLOAT, NULL, 0, &raw);
    put_text(node, 1, whole);
}

static void onnx_window(growing *node, const mls_conv *w, int32_t stride_h, int32_t stride_w)
{
    const int32_t kernel[] = {w->kh, w->kw}, strides[] = {stride_h, stride_w};
    const int32_t pads[] = {w->pad + w->pad_top, w->pad + w->pad_left, w->pad + w->pad_bottom,
                            w->pad + w->pad_right};
    put_ints(node, "kernel_shape", kernel, 2), put_ints(node, "strides", strides, 2);
    put_ints(node, "pads", pads, 4);
}

static void onnx_convolution(onnx *o, growing *node)
{
    const mls_conv *w = &o->layer.window;
    const int32_t stride = w->stride ? w->stride : 1;
    const int32_t dilations[] = {w->dilation_h ? w->dilation_h : 1,
                                 w->dilation_w ? w->dilation_w : 1};
    onnx_window(node, w, w->stride_h ? w->stride_h : stride, w->stride_w ? w->stride_w : stride);
    put_ints(node, "dilations", dilations, 2);
    put_one_int(node, "group", w->groups ? w->groups : 1);
}

static void onnx_pool(onnx *o, growing *node)
{
    onnx_window(node, &o->layer.window, o->layer.window.stride, o->layer.window.stride);
}

/* What stands for var + epsilon is in the variance already where a norm has no variance. */
static void onnx_norm(onnx *o, growing *node)
{
    const bool l1 = strcmp(o->layer.kind, "l1 norm") == 0;
    put_one_float(node, "epsilon", l1 ? 0 : o->layer.epsilon);
}

static void onnx_concat(onnx *o, growing *node)
{
    (void)o;
    put_one_int(node, "axis", 1);
}

static void onnx_linear(onnx *o, growing *node)
{
    (void)o;
    put_one_int(node, "transB", 1);
}

/* A node before that of the layer, from whose output on it goes. */
static void onnx_before(onnx *o, growing *node)
{
    char name[32];
    snprintf(name, sizeof name, "%.16s.before%d", o->output, o->before++);
    onnx_end(o, node, name);
    memcpy(o->input, name, sizeof name);
}

static void onnx_flatten(onnx *o)
{
    growing node = onnx_node("Flatten", o->input);
    onnx_before(o, &node);
}

/* Every stride-th pixel; then the channels of zeros. */
static void onnx_slice(onnx *o)
{
    const mls_conv *w = &o->layer.window;
    const int32_t starts[] = {0, 0}, ends[] = {w->in.h, w->in.w}, axes[] = {2, 3};
    const int32_t steps[] = {w->stride, w->stride};
    growing node = onnx_node("Slice", o->input);
    onnx_constant(o, &node, "starts", starts, 2), onnx_constant(o, &node, "ends", ends, 2);
    onnx_constant(o, &node, "axes", axes, 2), onnx_constant(o, &node, "steps", steps, 2);
    onnx_before(o, &node);
}

static void onnx_pad(onnx *o, growing *node)
{
    const mls_conv *w = &o->layer.window;
    const int32_t pads[] = {0, w->pad, 0, 0, 0, o->layer.shape.c - w->in.c - w->pad, 0, 0};
    onnx_constant(o, node, "pads", pads, 8);
}

static void onnx_slope(onnx *o, growing *node)
{
    put_one_float(node, "alpha", o->layer.amount);
}

/* x times (1 + erf(x / sqrt(2))) / 2: this opset has no Gelu. */
static void onnx_gelu(onnx *o)
{
    static const struct {
        const char *op, *name;
        float value;
    } before[] = {
        {"Mul", "root", 0.70710678f}, {"Erf", NULL, 0}, {"Add", "one", 1}, {"Mul", "half", 0.5f}};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        growing node = onnx_node(before[i].op, o->input);
        if (before[i].name) onnx_number(o, &node, before[i].name, before[i].value);
        onnx_before(o, &node);
    }
}

static void onnx_times_input(onnx *o, growing *node)
{
    char name[32];
    put_text(node, 1, onnx_name(o, o->layer.inputs[0], name));
}

/* A kind of layer: what stands for it, what comes before, what is said of it. */
static const struct onnx_row {
    const char *kind, *op;
    void (*before)(onnx *o);
    void (*more)(onnx *o, growing *node);
} onnx_rows[] = {
    {"convolution", "Conv", NULL, onnx_convolution},
    {"batch norm", "BatchNormalization", NULL, onnx_norm},
    {"l1 norm", "BatchNormalization", NULL, onnx_norm},
    {"relu", "Relu", NULL, NULL},
    {"leaky relu", "LeakyRelu", NULL, onnx_slope},
    {"sigmoid", "Sigmoid", NULL, NULL},
    {"gelu", "Mul", onnx_gelu, onnx_times_input},
    {"dropout", "Identity", NULL, NULL},
    {"add", "Add", NULL, NULL},
    {"concat", "Concat", NULL, onnx_concat},
    {"max pool", "MaxPool", NULL, onnx_pool},
    {"average pool", "AveragePool", NULL, onnx_pool},
    {"global pool", "GlobalAveragePool", NULL, NULL},
    {"subsample", "Pad", onnx_slice, onnx_pad},
    {"linear", "Gemm", onnx_flatten, onnx_linear},
    {"loss", "Flatten", NULL, NULL},
    {"mse loss", "Flatten", NULL, NULL},
};

static const struct onnx_row *onnx_row_of(const char *kind)
{
    for (size_t i = 0; i < sizeof onnx_rows / sizeof *onnx_rows; i++) {
        if (strcmp(onnx_rows[i].kind, kind) == 0) return &onnx_rows[i];
    }
    return NULL;
}

/* Its weights and running statistics follow the first input, in the order that ONNX wants, too. */
static void onnx_layer(onnx *o, const struct onnx_row *row)
{
    char second[32];
    onnx_name(o, o->layer.inputs[0], o->input);
    snprintf(o->output, sizeof o->output, "node%d%s", (int)o->node, o->behind);
    if (strstr(row->kind, "loss")) snprintf(o->output, sizeof o->output, "logits");
    o->before = 0;
    if (row->before) row->before(o);
    growing node = onnx_node(row->op, o->input);
    if (o->layer.inputs[1] >= 0) put_text(&node, 1, onnx_name(o, o->layer.inputs[1], second));
    for (size_t i = 0; i < o->list->count; i++) {
        if (o->list->of[i].own.node == o->node) put_text(&node, 1, o->list->of[i].name);
    }
    if (row->more) row->more(o, &node);
    onnx_end(o, &node, o->output);
}

/* ---- the file */

/* Of a norm without a variance, what a variance would be. */
static void onnx_square(growing *raw, float epsilon)
{
    for (size_t i = 0; raw->at && i < raw->length; i += 4) {
        uint32_t bits = (uint32_t)little((const uint8_t *)raw->at + i, 4);
        float x;
        memcpy(&x, &bits, 4);
        x = (x + epsilon) * (x + epsilon);
        memcpy(&bits, &x, 4);
        for (int k = 0; k < 4; k++) raw->at[i + (size_t)k] = (char)(bits >> (8 * k) & 255);
    }
}

static void onnx_tensor(onnx *o, const tensor *t)
{
    growing raw = {0};
    append_numbers(&raw, t);
    mls_net_layer(o->list->net, t->own.node, &o->layer);
    if (strcmp(t->own.part, "running_deviation") == 0) onnx_square(&raw, o->layer.epsilon);
    onnx_stored(o, t->name, ONNX_FLOAT, t->dims, t->own.rank, &raw);
}

/* An input or output of the graph: floats, N and then so many. */
static void onnx_value(onnx *o, uint64_t field, const char *name, const int32_t *dims, int count)
{
    growing shape = {0}, type = {0}, any = {0}, value = {0};
    for (int i = -1; i < count; i++) {
        growing dim = {0};
        if (i < 0) put_text(&dim, 2, "N");
        if (i >= 0) put_int(&dim, 1, dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&type, 1, ONNX_FLOAT), put_message(&type, 2, &shape);
    put_message(&any, 1, &type);
    put_text(&value, 1, name), put_message(&value, 2, &any);
    put_message(&o->graph, field, &value);
}

/* All layers; false: one has no ONNX. */
static bool onnx_graph(onnx *o, failure *f)
{
    put_text(&o->graph, 2, "mls");
    for (o->node = 0; mls_net_layer(o->list->net, o->node, &o->layer) == MLS_OK; o->node++) {
        const struct onnx_row *row = onnx_row_of(o->layer.kind);
        const int32_t picture[] = {o->layer.shape.c, o->layer.shape.h, o->layer.shape.w};
        if (o->node == 0) {
            onnx_value(o, 11, "input", picture, 3);
        } else if (row) {
            onnx_layer(o, row);
        } else {
            return fail(f, 2, "--onnx: node %d is a layer of kind %s, which has no ONNX here",
                        (int)o->node, o->layer.kind);
        }
    }
    onnx_value(o, 12, "logits", &o->layer.shape.c, 1); /* the last is the loss */
    for (size_t i = 0; i < o->list->count; i++) onnx_tensor(o, &o->list->of[i]);
    return true;
}

/* Takes the graph. */
static bool save_onnx(growing *graph, const settings *about, const char *path, failure *f)
{
    growing file = {0}, opset = {0};
    put_int(&file, 1, ONNX_VERSION);
    put_text(&file, 2, "mls"), put_text(&file, 3, MLS_VERSION_STRING);
    put_message(&file, 7, graph);
    put_text(&opset, 1, ""), put_int(&opset, 2, ONNX_OPSET), put_message(&file, 8, &opset);
    for (size_t i = 0; i < about->count; i++) {
        growing entry = {0};
        if (strcmp(about->of[i].key, "data") == 0) continue; /* where they were */
        put_text(&entry, 1, about->of[i].key), put_text(&entry, 2, about->of[i].value);
        put_message(&file, 14, &entry);
    }
    return save_growing(&file, path, f);
}

static bool write_onnx(const tensors *list, const settings *about, const char *path, failure *f)
{
    onnx o = {.list = list, .first = "input", .behind = ""};
    if (!onnx_graph(&o, f)) return free(o.graph.at), false;
    return save_onnx(&o.graph, about, path, f);
}

#endif /* PROGRAM_ONNX_H_INCLUDED */
