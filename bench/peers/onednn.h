/* onednn.h - one convolution by oneDNN, to be timed next to ours in the same process. */
#ifndef ONEDNN_H_INCLUDED
#define ONEDNN_H_INCLUDED

/* The type of both inputs. Results are fp32 (bf16 where nothing else is offered), or s32. */
enum peer_type {
    PEER_F32,
    PEER_BF16,
    PEER_S8,          /* s8 data, s8 weights: forward only */
    PEER_U8,          /* u8 data, s8 weights: forward only */
    PEER_F32_WINOGRAD /* 3x3 with a stride of 1 only; fewer, less exact multiplications */
};

enum peer_direction {
    PEER_FORWARD,
    PEER_BACKWARD_DATA,
    PEER_BACKWARD_WEIGHT
};

typedef struct peer_shape {
    int n, h, w, c_in, c_out, k, stride, pad;
} peer_shape;

typedef struct peer peer;

/* A convolution with its inputs converted to the types and layouts that oneDNN prefers; none of
   this is part of peer_run. first and second: weights and input (forward), weights and error
   (backward data), error and input (backward weight). Channels last, weights as
   [c_out][k][k][c_in]; for S8 integers within -127..127, for U8 data within 0..255. The number of
   threads is that of OpenMP at this call. Null where oneDNN has no such convolution. */
peer *peer_make(const peer_shape *s, int direction, enum peer_type type, const float *first,
                const float *second);

/* Runs once and waits. */
void peer_run(peer *p);

/* The implementation that oneDNN chose. */
const char *peer_name(const peer *p);

/* The result of the last run, channels last; s32 is rounded to float. 0 on failure. */
int peer_output(peer *p, float *out);

void peer_free(peer *p);

#endif
