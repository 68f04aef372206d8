# Computes with R, from the single answers and never from tables, the figures that data_test.go
# holds the package against. To write the table again (R 4.2 or later, no packages):
#
#   Rscript testdata/reference.R DATA > testdata/reference.csv
#
# DATA is the folder of the data sets. In airline_satisfaction.csv 0 is "not applicable" and
# missing; overall is 1 for Satisfied and else 0; missing answers are left out pairwise.

args <- commandArgs(trailingOnly = TRUE)
if (length(args) != 1) stop("usage: Rscript reference.R DATA")
put <- function(.figure, ...) {
  values <- c(...)
  cat(sprintf("%s/%s,%.17g\n", .figure, names(values), values), sep = "")
}
cat("figure,value\n")
level <- 0.95
z <- qnorm(0.5 + level / 2)

share <- function(name, k, n) {
  ci <- prop.test(k, n, conf.level = level, correct = FALSE)$conf.int
  put(name, value = k / n, low = ci[1], high = ci[2])
}
interval <- function(name, x) {
  ci <- t.test(x, conf.level = level)$conf.int
  put(name, n = length(x), mean = mean(x), sd = sd(x), low = ci[1], high = ci[2])
}
correlation <- function(name, x, y) {
  both <- !is.na(x) & !is.na(y)
  x <- x[both]; y <- y[both]; n <- length(x)
  p <- cor.test(x, y, conf.level = level)
  put(paste0(name, "/pearson"), n = n, r = unname(p$estimate), df = unname(p$parameter), p = p$p.value,
      low = p$conf.int[1], high = p$conf.int[2])
  s <- cor.test(x, y, method = "spearman", exact = FALSE)
  r <- unname(s$estimate); half <- z * sqrt((1 + r^2 / 2) / (n - 3))
  put(paste0(name, "/spearman"), r = r, p = s$p.value, low = tanh(atanh(r) - half), high = tanh(atanh(r) + half))
}
welch <- function(name, x, y) {
  t <- t.test(x, y, conf.level = level)
  n1 <- length(x); n2 <- length(y)
  d <- (mean(x) - mean(y)) / sqrt(((n1 - 1) * var(x) + (n2 - 1) * var(y)) / (n1 + n2 - 2))
  half <- z * sqrt((n1 + n2) / (n1 * n2) + d^2 / (2 * (n1 + n2)))
  put(paste0(name, "/welch"), difference = mean(x) - mean(y), t = unname(t$statistic), df = unname(t$parameter),
      p = t$p.value, low = t$conf.int[1], high = t$conf.int[2], d = d, dlow = d - half, dhigh = d + half)
}
# compare gives the p value of Welch's test, for Holm's correction.
compare <- function(name, x, group) {
  keep <- !is.na(x)
  x <- x[keep]; group <- factor(group[keep]); n <- length(x)
  sums <- summary(aov(x ~ group))[[1]][["Sum Sq"]]
  eta <- sums[1] / sum(sums)
  a <- oneway.test(x ~ group, var.equal = TRUE)
  put(paste0(name, "/anova"), f = unname(a$statistic), df1 = unname(a$parameter[1]), df2 = unname(a$parameter[2]),
      p = a$p.value, eta = eta)
  w <- oneway.test(x ~ group)
  put(paste0(name, "/welchanova"), f = unname(w$statistic), df1 = unname(w$parameter[1]), df2 = unname(w$parameter[2]),
      p = w$p.value)
  k <- kruskal.test(x, group)
  put(paste0(name, "/kruskal"), h = unname(k$statistic), df = unname(k$parameter), p = k$p.value,
      epsilon = unname(k$statistic) / (n - 1))
  table <- table(group, x)
  c <- suppressWarnings(chisq.test(table, correct = FALSE))
  put(paste0(name, "/chisquare"), x = unname(c$statistic), df = unname(c$parameter), p = c$p.value,
      v = sqrt(unname(c$statistic) / (n * (min(dim(table)) - 1))), small = mean(c$expected < 5))
  w$p.value
}
# weigh post-stratifies by an invented population, by a weight for each single answer.
weigh <- function(name, x, group, population) {
  keep <- !is.na(x)
  x <- x[keep]; group <- group[keep]; n <- length(x)
  shares <- population / sum(population)
  counts <- table(group)[names(population)]
  w <- as.numeric((shares / counts * n)[group])
  parts <- sapply(names(population), function(g) shares[[g]]^2 * var(x[group == g]) / sum(group == g))
  df <- sum(parts)^2 / sum(parts^2 / (counts - 1))
  mean <- weighted.mean(x, w); half <- qt(0.5 + level / 2, df) * sqrt(sum(parts))
  put(paste0(name, "/weighted"), mean = mean, low = mean - half, high = mean + half, effective = sum(w)^2 / sum(w^2))
}
slope <- function(name, x, y) {
  m <- lm(y ~ x)
  ci <- confint(m, level = level)[2, ]
  put(paste0(name, "/slope"), value = unname(coef(m)[2]), p = summary(m)$coefficients[2, 4], low = ci[[1]], high = ci[[2]])
}

airline <- read.csv(file.path(args[1], "airline_satisfaction.csv"), check.names = FALSE)
aspects <- names(airline)[10:23]
overall <- as.integer(airline$Satisfaction == "Satisfied")
band <- findInterval(airline$Age, c(30, 45, 60))
population <- c(Business = 40000, Economy = 50000, "Economy Plus" = 10000)
share("overall/share", sum(overall), length(overall))
p <- list(Class = c(), "Customer Type" = c())
importance <- c(); performance <- c(); weights <- c()
for (aspect in aspects) {
  x <- airline[[aspect]]
  x[x == 0] <- NA
  given <- x[!is.na(x)]
  interval(paste0(aspect, "/mean"), given)
  share(paste0(aspect, "/toptwo"), sum(given >= 4), length(given))
  # Ratings stretched and moved onto the scales of the other questions.
  nps <- 2 * given
  t <- t.test(ifelse(nps >= 9, 100, ifelse(nps <= 6, -100, 0)), conf.level = level)
  put(paste0(aspect, "/nps"), value = unname(t$estimate), low = t$conf.int[1], high = t$conf.int[2])
  t <- t.test(given + 2, conf.level = level)
  put(paste0(aspect, "/ces"), value = unname(t$estimate), low = t$conf.int[1], high = t$conf.int[2])
  correlation(aspect, x, overall)
  for (by in names(p)) p[[by]] <- c(p[[by]], compare(paste0(aspect, "/", by), x, airline[[by]]))
  returning <- airline[["Customer Type"]] == "Returning"
  welch(paste0(aspect, "/Customer Type"), x[returning & !is.na(x)], x[!returning & !is.na(x)])
  weigh(paste0(aspect, "/Class"), x, airline$Class, population)
  slope(aspect, band[!is.na(x)], given)
  importance <- c(importance, cor(x, overall, use = "complete.obs"))
  performance <- c(performance, mean(given))
  weights <- c(weights, max(cor(x, overall, use = "complete.obs"), 0) * (5 - mean(given)) / 4 * mean(given <= 2))
}
for (by in names(p)) put(paste0("holm/", by), setNames(p.adjust(p[[by]], method = "holm"), aspects))
important <- importance >= mean(importance); strong <- performance >= mean(performance)
put("quadrant", setNames(ifelse(important, ifelse(strong, 2, 1), ifelse(strong, 4, 3)), aspects))
put("problem", setNames(rank(-weights), aspects))
invisible(compare("overall/Class", overall, airline$Class))
invisible(compare("overall/Customer Type", overall, airline[["Customer Type"]]))

orders <- read.csv(file.path(args[1], "olist", "orders.csv"), colClasses = "character")
reviews <- read.csv(file.path(args[1], "olist", "order_reviews.csv"), colClasses = "character")
reviews <- reviews[!duplicated(reviews[c("review_id", "order_id")]), ]
both <- merge(reviews, orders, by = "order_id")
both <- both[both$order_delivered_customer_date != "" & both$order_estimated_delivery_date != "", ]
late <- substr(both$order_delivered_customer_date, 1, 10) > substr(both$order_estimated_delivery_date, 1, 10)
score <- as.integer(both$review_score)
welch("olist", score[late], score[!late])
put("olist", late = sum(late), punctual = sum(!late))
invisible(compare("olist", score, late))
