# plot.gp - training loss and accuracies of all runs, from curves.dat.
# Before it stand formats, seeds, epochs, and what was trained. curves.dat has, for each format, a block
# for each seed (epoch, loss, training and test accuracy), and one of means with the least and largest.

if (strstrt(GPVAL_TERMINALS, 'pngcairo')) {
    set terminal pngcairo noenhanced size 1200,460
} else {
    set terminal png noenhanced size 1200,460
}
set output 'plot.png'
array colours[7] = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000']
colour(f) = colours[f % 7 + 1]
mean(f) = f * (seeds + 1) + seeds
seed(f, s) = f * (seeds + 1) + s

set multiplot layout 1,2 title what
set grid
set xlabel 'epoch'
set xrange [1:(epochs > 1 ? epochs : 2)]
set xtics ceil(epochs / 10.0)
set format x '%.0f'
set style fill transparent solid 0.15 noborder

set lmargin at screen 0.08
set rmargin at screen 0.38
set ylabel 'training loss'
unset key
plot for [f=0:formats-1] 'curves.dat' index mean(f) skip 1 using 1:5:6 with filledcurves \
         linecolor rgb colour(f), \
     for [f=0:formats-1] for [s=0:seeds-1] 'curves.dat' index seed(f, s) skip 1 using 1:2 with lines \
         linewidth 0.5 linecolor rgb colour(f), \
     for [f=0:formats-1] 'curves.dat' index mean(f) using 1:2 with linespoints \
         linewidth 2.5 pointtype 7 pointsize 0.6 linecolor rgb colour(f)

set lmargin at screen 0.46
set rmargin at screen 0.75
set ylabel 'accuracy, %'
set key at screen 0.77, screen 0.9 left top Left reverse
plot for [f=0:formats-1] 'curves.dat' index mean(f) using 1:7:8 with filledcurves \
         linecolor rgb colour(f) notitle, \
     for [f=0:formats-1] for [s=0:seeds-1] 'curves.dat' index seed(f, s) using 1:4 with lines \
         linewidth 0.5 linecolor rgb colour(f) notitle, \
     for [f=0:formats-1] 'curves.dat' index mean(f) using 1:3 with lines \
         linewidth 2 dashtype 2 linecolor rgb colour(f) \
         title columnheader(1).' training', \
     for [f=0:formats-1] 'curves.dat' index mean(f) using 1:4 with linespoints \
         linewidth 2.5 pointtype 7 pointsize 0.6 linecolor rgb colour(f) \
         title columnheader(1).' test'
unset multiplot
