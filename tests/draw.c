/* draw.c - pictures to learn from, where there are none: four shapes of any colour, place and angle, as JPEG
   and PNG of odd sizes, with spaces in their names. The same ones every time.

       cc -O1 tests/draw.c -o draw -lm
       ./draw FOLDER N                  N pictures of each: FOLDER/round things/picture 1.jpg ...

   Needs stb_image_write.h (Debian: libstb-dev). */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

static uint32_t state;

/* From 0 on, below 1. */
static double chance(void)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) / 16777216.0;
}

/* Whether a point is in a shape, which reaches from -1 to 1. */
static bool in_ring(double x, double y)
{
    const double r = x * x + y * y;
    return r < 1 && r > 0.3;
}

static bool in_cross(double x, double y)
{
    return fmax(fabs(x), fabs(y)) < 1 && fmin(fabs(x), fabs(y)) < 0.25;
}

static bool in_triangle(double x, double y)
{
    return y < 0.6 && y > 1.8 * fabs(x) - 1;
}

static bool in_stripes(double x, double y)
{
    return fmax(fabs(x), fabs(y)) < 0.9 && fabs(x - 0.6 * floor(x / 0.6)) < 0.3;
}

static const struct {
    const char *name;
    bool (*has)(double x, double y);
} classes[] = {{"crosses", in_cross},
               {"round things", in_ring},
               {"striped things", in_stripes},
               {"triangles", in_triangle}};

enum {
    CLASSES = sizeof classes / sizeof classes[0],
    SIDE = 301 /* pixels, at most */
};

/* Background and shape differ in brightness; both have some of a colour, a gradient and noise. */
static void draw(bool (*has)(double x, double y), int h, int w, uint8_t *to)
{
    const double size = 0.3 + 0.14 * chance(), angle = 6.2832 * chance(), bright = chance();
    const double middle_x = w * (0.4 + 0.2 * chance()), middle_y = h * (0.4 + 0.2 * chance());
    const double by = size * (h < w ? h : w), slope = 60 * (chance() - 0.5);
    double colour[2][3];
    for (int i = 0; i < 6; i++) {
        const bool light = (bright < 0.5) == (i < 3);
        colour[i / 3][i % 3] = (light ? 150 : 30) + 80 * chance();
    }
    for (int i = 0; i < h * w; i++) {
        const double x = (i % w - middle_x) / by, y = (i / w - middle_y) / by;
        const bool inside = has(x * cos(angle) - y * sin(angle), x * sin(angle) + y * cos(angle));
        const double light = slope * i / (h * w) + 24 * (chance() - 0.5);
        for (int c = 0; c < 3; c++) {
            to[3 * i + c] = (uint8_t)fmax(0, fmin(255, colour[inside][c] + light));
        }
    }
}

int main(int count, char **words)
{
    static uint8_t pixels[SIDE * SIDE * 3];
    const int pictures = count == 3 ? atoi(words[2]) : 0;
    if (pictures < 1) return fprintf(stderr, "usage: draw FOLDER N\n"), 2;
    mkdir(words[1], 0777);
    for (int i = 0; i < CLASSES * pictures; i++) {
        const int c = i % CLASSES, number = i / CLASSES + 1;
        const int h = 61 + 2 * (int)(70 * chance()), w = (int)(h * (0.6 + 0.9 * chance())) | 1;
        const bool jpeg = number % 2;
        char path[1000];
        snprintf(path, sizeof path, "%s/%s", words[1], classes[c].name);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/%s/picture %d.%s", words[1], classes[c].name, number,
                 jpeg ? "jpg" : "png");
        draw(classes[c].has, h, w, pixels);
        if (!(jpeg ? stbi_write_jpg(path, w, h, 3, pixels, 85)
                   : stbi_write_png(path, w, h, 3, pixels, 3 * w))) {
            return perror(path), 2;
        }
    }
    return 0;
}
