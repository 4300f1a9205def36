/* own_example.c - a kernel for bench_conv --own: plain C that a compiler makes vectors of. The weights
   are turned so that 16 outputs lie side by side. */
#include "bench/own.h"
#include <stdlib.h>
#include <string.h>

enum {
    LANES = 16
};

/* [block of 16 outputs][ky][kx][ci][16] */
void *own_prepare(const own_call *k)
{
    size_t terms = (size_t)(k->kh * k->kw * k->c), blocks = (size_t)(k->oc + LANES - 1) / LANES;
    int16_t *to = calloc(blocks * terms * LANES, sizeof *to);
    if (!to) return NULL;
    for (size_t co = 0; co < (size_t)k->oc; co++)
        for (size_t i = 0; i < terms; i++) {
            to[(co / LANES * terms + i) * LANES + co % LANES] = k->weights[co * terms + i];
        }
    return to;
}

void own_release(const own_call *k)
{
    free(k->prepared);
}

/* 16 outputs of a pixel; weights: of their block */
static void outputs(const own_call *k, const int8_t *image, const int16_t *weights, int32_t *to)
{
    int32_t sum[LANES] = {0};   /* a local array stays in registers */
    int32_t row = k->kw * k->c; /* elements of a row of taps, side by side in both */
    for (int32_t ky = 0; ky < k->kh; ky++, image += k->w * k->c) {
        for (int32_t i = 0; i < row; i++, weights += LANES) {
            for (int lane = 0; lane < LANES; lane++) sum[lane] += image[i] * weights[lane];
        }
    }
    memcpy(to, sum, sizeof sum);
}

void own_forward(const own_call *k)
{
    size_t terms = (size_t)(k->kh * k->kw * k->c);
    float *out = k->out;
    if (!k->prepared) return;
    for (int32_t i = 0; i < k->n * k->oh * k->ow; i++, out += k->oc) {
        int32_t n = i / (k->oh * k->ow), y = i / k->ow % k->oh, x = i % k->ow;
        const int8_t *image = k->images + ((size_t)(n * k->h + y * k->stride) * (size_t)k->w +
                                           (size_t)(x * k->stride)) *
                                              (size_t)k->c;
        for (int32_t co = 0; co < k->oc; co += LANES) {
            int32_t sum[LANES];
            outputs(k, image, (const int16_t *)k->prepared + (size_t)co * terms, sum);
            for (int32_t lane = 0; lane < LANES && co + lane < k->oc; lane++) {
                out[co + lane] = (float)sum[lane] * k->scale;
            }
        }
    }
}
