/* fit.h - pictures of any size to the one that a network takes, in integers: the same pixels everywhere */
#ifndef FIT_H_INCLUDED
#define FIT_H_INCLUDED

#include <stdint.h>
#include <string.h>

enum {
    PICTURE_CHANNELS = 3,
    PICTURE_BAR =
        128 /* around a picture of another aspect: grey, which is about 0 once normalised */
};

/* What becomes of a picture of another size. */
typedef enum picture_fit {
    PICTURE_LETTERBOX, /* all of it, with bars at two sides */
    PICTURE_CROP,      /* its middle, as large as it can be */
    PICTURE_STRETCH,   /* all of it; its aspect changes */
    PICTURE_EXACT,     /* it is refused */
    PICTURE_FITS
} picture_fit;

static const char *const picture_fit_names[] = {"letterbox", "crop", "stretch", "exact"};

/* Pixels of three bytes, so many from one row to the next. */
typedef struct picture_view {
    uint8_t *at;
    int64_t h, w, row;
} picture_view;

/* Length that the spans [a, a + na) and [b, b + nb) share, if they do. */
static int64_t overlap(int64_t a, int64_t na, int64_t b, int64_t nb)
{
    int64_t first = a > b ? a : b;
    return (a + na < b + nb ? a + na : b + nb) - first;
}

/* Every new pixel is the mean of the area that it covers: an old pixel is to.w units wide, a new one
   from.w. Enlarging by a whole factor repeats pixels. */
static void resize_area(picture_view from, picture_view to)
{
    for (int64_t i = 0; i < to.h * to.w; i++) {
        int64_t top = i / to.w * from.h, left = i % to.w * from.w, sum[PICTURE_CHANNELS] = {0};
        uint8_t *pixel = to.at + (i / to.w * to.row + i % to.w) * PICTURE_CHANNELS;
        for (int64_t y = top / to.h; y * to.h < top + from.h; y++) {
            int64_t height = overlap(y * to.h, to.h, top, from.h);
            for (int64_t x = left / to.w; x * to.w < left + from.w; x++) {
                int64_t area = height * overlap(x * to.w, to.w, left, from.w);
                const uint8_t *old = from.at + (y * from.row + x) * PICTURE_CHANNELS;
                for (int c = 0; c < PICTURE_CHANNELS; c++) sum[c] += area * old[c];
            }
        }
        for (int c = 0; c < PICTURE_CHANNELS; c++) {
            pixel[c] = (uint8_t)((sum[c] + from.h * from.w / 2) / (from.h * from.w));
        }
    }
}

/* The largest part of a picture with the aspect of h x w, as near as whole pixels get, in its middle. */
static picture_view middle_part(picture_view p, int64_t h, int64_t w)
{
    picture_view part = p;
    if (p.w * h > p.h * w) part.w = (p.h * w + h / 2) / h;
    if (p.w * h < p.h * w) part.h = (p.w * h + w / 2) / w;
    if (part.h < 1) part.h = 1;
    if (part.w < 1) part.w = 1;
    part.at += ((p.h - part.h) / 2 * p.row + (p.w - part.w) / 2) * PICTURE_CHANNELS;
    return part;
}

/* Fills to, whose rows follow each other. */
static void fit_picture(picture_view from, picture_view to, picture_fit fit)
{
    if (fit == PICTURE_CROP) from = middle_part(from, to.h, to.w);
    if (fit == PICTURE_LETTERBOX) {
        memset(to.at, PICTURE_BAR, (size_t)(to.h * to.w) * PICTURE_CHANNELS);
        to = middle_part(to, from.h, from.w);
    }
    resize_area(from, to);
}

#endif /* FIT_H_INCLUDED */
