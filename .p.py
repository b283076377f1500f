from customspec.decide.pairs import *
from customspec.decide.samples import *
m=Measure("accuracy",0,1,True,True); g=Measure("f1",0,1,True,False)
import random
random.seed(1)
a=[float(random.random()<.9) for _ in range(80)]; b=[float(random.random()<.7) for _ in range(80)]
A,B=Sample.of_rows(a),Sample.of_rows(b)
import time
from statistics import fmean
S=lambda x: Sample(tuple(map(str,range(80))),x,fmean)
gr=[str(i//4) for i in range(80)]
print(compare_all({"a":Sample.of_rows(a,gr),"b":Sample.of_rows(b,gr)},m,.95))
print(compare_all({"a":Sample.of_rows([.3]),"b":Sample.of_rows([.4])},g,.95))
print(compare_all({"a":S(a).at([0]),"b":S(b).at([0])},g,.95))
from customspec.decide.best import losses
print(losses({"a":A,"b":B},m,.02,.95)); print(losses({"a":S(a),"b":S(b)},g,.02,.95))
print(losses({"a":A,"b":A},m,.02,.95)); print(losses({"a":S(a),"b":S(a)},g,.02,.95))
from customspec.decide.claim import *
from customspec.spec import Goal
G=Goal(metric="accuracy",at_least=.8)
L=Sample.of_rows([1.]*138+[0.]*22)
print(claim(L,m,G,.95),claim(L,g,G,.95)); G=Goal(metric="accuracy",at_least=.85)
print(claim(L,m,G,.95),claim(L,g,G,.95)); print(claim(Sample.of_rows([1.]*10),m,G,.95),claim(Sample.of_rows([1.]*10),g,G,.95))
print(claim(Sample.of_rows([0.]*22+[1]*138),Measure("e",0,1,False,True),Goal(metric="e",at_most=.85),.95))
from customspec.decide.before import *
for t in (.8,.9,.99,1.0):
    G=Goal(metric="accuracy",at_least=t)
    print(sentences(prospect(m,G,.95,160),m,G,.95))
