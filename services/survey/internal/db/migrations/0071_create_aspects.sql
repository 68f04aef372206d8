-- +goose Up
-- What customers are usually asked about.
CREATE TABLE aspects (
  key         text PRIMARY KEY CONSTRAINT aspects_key_check CHECK (key ~ '^[a-z][a-z0-9-]{0,39}$'),
  place       smallint NOT NULL CONSTRAINT aspects_place_key UNIQUE,
  name_zh     text NOT NULL,
  name_en     text NOT NULL,
  question_zh text NOT NULL,
  question_en text NOT NULL,
  -- As the API numbers types of questions.
  type        smallint NOT NULL,
  outcome     boolean NOT NULL
);
INSERT INTO aspects (key, place, name_zh, name_en, question_zh, question_en, type, outcome) VALUES
('function', 1, '功能', 'function', '您对产品功能满意吗？', 'How satisfied are you with what the product can do?', 1, false),
('performance', 2, '性能', 'performance', '您对产品性能满意吗？', 'How satisfied are you with how well the product performs?', 1, false),
('ease-of-use', 3, '易用性', 'ease of use', '您觉得产品容易使用吗？', 'How satisfied are you with how easy the product is to use?', 1, false),
('product-quality', 4, '产品质量', 'product quality', '您对产品质量满意吗？', 'How satisfied are you with the quality of the product?', 1, false),
('after-sales', 5, '售后服务', 'after-sales service', '您对售后服务满意吗？', 'How satisfied are you with our after-sales service?', 1, false),
('attitude', 6, '服务态度', 'attitude', '您对服务态度满意吗？', 'How satisfied are you with how we treated you?', 1, false),
('professionalism', 7, '专业性', 'professionalism', '您对服务人员的专业水平满意吗？', 'How satisfied are you with how well our people know their work?', 1, false),
('speed', 8, '响应速度', 'speed', '您对响应和处理速度满意吗？', 'How satisfied are you with how fast we were?', 1, false),
('effect', 9, '服务效果', 'effect', '您对问题的解决效果满意吗？', 'How satisfied are you with the result?', 1, false),
('brand-image', 10, '品牌形象', 'brand image', '您对我们的品牌形象满意吗？', 'How satisfied are you with what our brand stands for?', 1, false),
('overall', 11, '总体满意度', 'overall satisfaction', '您对我们总体满意吗？', 'How satisfied are you with us overall?', 1, true),
('repurchase', 12, '再次购买意愿', 'intent to buy again', '您愿意再次购买我们的产品吗？', 'How likely are you to buy from us again?', 1, true),
('recommendation', 13, '推荐意愿', 'recommendation', '您有多大可能向他人推荐我们？', 'How likely are you to recommend us?', 2, true),
('effort', 14, '费力度', 'effort', '让您的问题得到解决容易吗？', 'How easy was it to get your request settled?', 5, true);

-- +goose Down
DROP TABLE aspects;
