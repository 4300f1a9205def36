/* onednn.c - one convolution by oneDNN, to be timed next to ours in the same process. */
#include "onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <dnnl.h>

/* A tensor of the convolution: which query yields its layout, and its role in an execution. */
typedef struct operand {
    dnnl_query_t query;
    int argument;
    dnnl_memory_desc_t plain; /* fp32, channels last */
    dnnl_memory_t memory;     /* type and layout of the convolution */
} operand;

struct peer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    operand first, second, out;
    const char *name;
};

/* Channels last for both: nhwc for data, ohwi for weights. */
static int plain_init(operand *o, const dnnl_dims_t dims, dnnl_query_t query, int argument)
{
    o->query = query, o->argument = argument;
    return dnnl_memory_desc_init_by_tag(&o->plain, 4, dims, dnnl_f32, dnnl_acdb) == dnnl_success;
}

static int any_init(dnnl_memory_desc_t *d, const dnnl_dims_t dims, dnnl_data_type_t type)
{
    return dnnl_memory_desc_init_by_tag(d, 4, dims, type, dnnl_format_tag_any) == dnnl_success;
}

static int reorder(peer *p, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_memory_desc_t *a, *b;
    dnnl_primitive_desc_t desc = 0;
    dnnl_primitive_t primitive = 0;
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    int ok =
        dnnl_memory_get_memory_desc(from, &a) == dnnl_success &&
        dnnl_memory_get_memory_desc(to, &b) == dnnl_success &&
        dnnl_reorder_primitive_desc_create(&desc, a, p->engine, b, p->engine, 0) == dnnl_success &&
        dnnl_primitive_create(&primitive, desc) == dnnl_success &&
        dnnl_primitive_execute(primitive, p->stream, 2, args) == dnnl_success &&
        dnnl_stream_wait(p->stream) == dnnl_success;
    if (primitive) dnnl_primitive_destroy(primitive);
    if (desc) dnnl_primitive_desc_destroy(desc);
    return ok;
}

/* Memory in the layout of the convolution, with the numbers at from if there are any. */
static int operand_make(peer *p, operand *o, const float *from)
{
    const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(p->desc, o->query, 0);
    dnnl_memory_t plain = 0;
    if (!d || dnnl_memory_create(&o->memory, d, p->engine, DNNL_MEMORY_ALLOCATE) != dnnl_success) {
        return 0;
    }
    if (!from) return 1;
    /* The interface has no pointers to const; a reorder only reads its source. */
    int ok =
        dnnl_memory_create(&plain, &o->plain, p->engine, (void *)(size_t)from) == dnnl_success &&
        reorder(p, plain, o->memory);
    if (plain) dnnl_memory_destroy(plain);
    return ok;
}

/* The best implementation with results of type out. */
static dnnl_primitive_desc_t choose(dnnl_engine_t engine, const peer_shape *s, int direction,
                                    enum peer_type type, dnnl_data_type_t out)
{
    static const dnnl_data_type_t data[] = {dnnl_f32, dnnl_bf16, dnnl_s8, dnnl_u8, dnnl_f32};
    static const dnnl_data_type_t weight[] = {dnnl_f32, dnnl_bf16, dnnl_s8, dnnl_s8, dnnl_f32};
    int h = (s->h + 2 * s->pad - s->k) / s->stride + 1;
    int w = (s->w + 2 * s->pad - s->k) / s->stride + 1;
    const dnnl_dims_t x_dims = {s->n, s->c_in, s->h, s->w}, y_dims = {s->n, s->c_out, h, w};
    const dnnl_dims_t w_dims = {s->c_out, s->c_in, s->k, s->k};
    const dnnl_dims_t strides = {s->stride, s->stride}, pads = {s->pad, s->pad};
    dnnl_alg_kind_t kind =
        type == PEER_F32_WINOGRAD ? dnnl_convolution_winograd : dnnl_convolution_direct;
    dnnl_memory_desc_t xd, wd, yd;
    dnnl_convolution_desc_t d;
    dnnl_primitive_desc_t forward = 0, result = 0;
    /* The hint for a backward pass is a forward pass: of the inputs' type, which always exists. */
    dnnl_data_type_t y_type = direction == PEER_FORWARD ? out : data[type];
    if (!any_init(&xd, x_dims, data[type]) || !any_init(&wd, w_dims, weight[type]) ||
        !any_init(&yd, y_dims, y_type) ||
        dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, kind, &xd, &wd, 0, &yd,
                                           strides, pads, pads) != dnnl_success ||
        dnnl_primitive_desc_create(&forward, &d, 0, engine, 0) != dnnl_success) {
        return 0;
    }
    if (direction == PEER_FORWARD) return forward;
    int ok;
    if (direction == PEER_BACKWARD_DATA) {
        ok = any_init(&xd, x_dims, out) &&
             dnnl_convolution_backward_data_desc_init(&d, kind, &xd, &wd, &yd, strides, pads,
                                                      pads) == dnnl_success;
    } else {
        ok = any_init(&wd, w_dims, out) &&
             dnnl_convolution_backward_weights_desc_init(&d, kind, &xd, &wd, 0, &yd, strides, pads,
                                                         pads) == dnnl_success;
    }
    if (!ok || dnnl_primitive_desc_create(&result, &d, 0, engine, forward) != dnnl_success) {
        result = 0;
    }
    dnnl_primitive_desc_destroy(forward);
    return result;
}

static int peer_init(peer *p, const peer_shape *s, int direction, enum peer_type type,
                     const float *first, const float *second)
{
    int h = (s->h + 2 * s->pad - s->k) / s->stride + 1;
    int w = (s->w + 2 * s->pad - s->k) / s->stride + 1;
    const dnnl_dims_t x = {s->n, s->c_in, s->h, s->w}, y = {s->n, s->c_out, h, w};
    const dnnl_dims_t weights = {s->c_out, s->c_in, s->k, s->k};
    int integer = type == PEER_S8 || type == PEER_U8, ok;
    if (direction == PEER_FORWARD) {
        ok = plain_init(&p->first, weights, dnnl_query_weights_md, DNNL_ARG_WEIGHTS) &&
             plain_init(&p->second, x, dnnl_query_src_md, DNNL_ARG_SRC) &&
             plain_init(&p->out, y, dnnl_query_dst_md, DNNL_ARG_DST);
    } else if (direction == PEER_BACKWARD_DATA) {
        ok = plain_init(&p->first, weights, dnnl_query_weights_md, DNNL_ARG_WEIGHTS) &&
             plain_init(&p->second, y, dnnl_query_diff_dst_md, DNNL_ARG_DIFF_DST) &&
             plain_init(&p->out, x, dnnl_query_diff_src_md, DNNL_ARG_DIFF_SRC);
    } else {
        ok = plain_init(&p->first, y, dnnl_query_diff_dst_md, DNNL_ARG_DIFF_DST) &&
             plain_init(&p->second, x, dnnl_query_src_md, DNNL_ARG_SRC) &&
             plain_init(&p->out, weights, dnnl_query_diff_weights_md, DNNL_ARG_DIFF_WEIGHTS);
    }
    if (!ok || (integer && direction != PEER_FORWARD) ||
        dnnl_engine_create(&p->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) != dnnl_success) {
        return 0;
    }
    p->desc = choose(p->engine, s, direction, type, integer ? dnnl_s32 : dnnl_f32);
    if (!p->desc && type == PEER_BF16) {
        p->desc = choose(p->engine, s, direction, type, dnnl_bf16);
    }
    if (!p->desc || dnnl_primitive_create(&p->primitive, p->desc) != dnnl_success ||
        dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, (void *)&p->name) !=
            dnnl_success) {
        return 0;
    }
    return operand_make(p, &p->first, first) && operand_make(p, &p->second, second) &&
           operand_make(p, &p->out, 0);
}

peer *peer_make(const peer_shape *s, int direction, enum peer_type type, const float *first,
                const float *second)
{
    peer *p = calloc(1, sizeof *p);
    if (p && !peer_init(p, s, direction, type, first, second)) {
        peer_free(p);
        p = 0;
    }
    return p;
}

void peer_run(peer *p)
{
    const dnnl_exec_arg_t args[3] = {{p->first.argument, p->first.memory},
                                     {p->second.argument, p->second.memory},
                                     {p->out.argument, p->out.memory}};
    if (dnnl_primitive_execute(p->primitive, p->stream, 3, args) != dnnl_success ||
        dnnl_stream_wait(p->stream) != dnnl_success) {
        fprintf(stderr, "%s failed\n", p->name);
        exit(1);
    }
}

const char *peer_name(const peer *p)
{
    return p->name;
}

int peer_output(peer *p, float *out)
{
    dnnl_memory_t plain = 0;
    int ok = dnnl_memory_create(&plain, &p->out.plain, p->engine, out) == dnnl_success &&
             reorder(p, p->out.memory, plain);
    if (plain) dnnl_memory_destroy(plain);
    return ok;
}

void peer_free(peer *p)
{
    if (!p) return;
    if (p->first.memory) dnnl_memory_destroy(p->first.memory);
    if (p->second.memory) dnnl_memory_destroy(p->second.memory);
    if (p->out.memory) dnnl_memory_destroy(p->out.memory);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->desc) dnnl_primitive_desc_destroy(p->desc);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->engine) dnnl_engine_destroy(p->engine);
    free(p);
}
