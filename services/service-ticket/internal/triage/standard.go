package triage

import ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"

// Standard are the rules of version 1. They are the same at each call and may be changed by
// the caller.
func Standard() []*ticketv1.TriageRule {
	kind := func(id string, t ticketv1.TicketType, confidence float64, words ...string) *ticketv1.TriageRule {
		return &ticketv1.TriageRule{RuleId: id, Type: t, Confidence: confidence, Words: words}
	}
	urgent := func(id string, p ticketv1.Priority, confidence float64, words ...string) *ticketv1.TriageRule {
		return &ticketv1.TriageRule{RuleId: id, Priority: p, Confidence: confidence, Words: words}
	}
	// The default routing by subject; by type see organisation.FunctionFor.
	belongs := func(id string, f ticketv1.DepartmentFunction, confidence float64, words ...string) *ticketv1.TriageRule {
		return &ticketv1.TriageRule{RuleId: id, DepartmentFunction: f, Confidence: confidence, Words: words}
	}
	return []*ticketv1.TriageRule{
		belongs("attitude", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE, 0.8,
			"态度", "不耐烦", "辱骂", "不礼貌", "rude*", "attitude", "impolite", "unfriendly"),
		belongs("product-quality", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL, 0.8,
			"质量问题", "质量不合格", "质量不好", "质量差", "次品", "瑕疵", "不合格品", "poor quality", "quality problem*", "quality issue*", "quality defect*", "substandard"),
		belongs("order-price-logistics", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_SALES_AND_SUPPLY, 0.75,
			"订单", "价格", "报价", "交货", "交期", "发货", "物流", "快递", "price*", "pricing", "quotation*", "delivery date", "shipping", "shipment*", "logistics",
			"my order", "our order", "purchase order*"),
		urgent("danger", ticketv1.Priority_PRIORITY_P1, 0.95,
			"起火", "冒烟", "着火", "漏电", "触电", "爆炸", "受伤", "安全事故", "on fire", "smoke", "electric shock", "explosion", "injured", "injury"),
		urgent("line-stopped", ticketv1.Priority_PRIORITY_P1, 0.9,
			"停产", "停线", "停机", "全线停", "生产线停", "瘫痪", "line is down", "line down", "production stopped", "production halted", "outage"),
		urgent("pressing", ticketv1.Priority_PRIORITY_P2, 0.7, "紧急", "加急", "尽快", "马上", "立即", "urgent*", "asap", "immediately", "critical"),
		urgent("no-hurry", ticketv1.Priority_PRIORITY_P4, 0.6, "不急", "有空", "no hurry", "not urgent", "whenever"),
		kind("return", ticketv1.TicketType_TICKET_TYPE_RETURN, 0.9,
			"退货", "换货", "退换", "退款", "退回", "return", "returns", "returning", "refund*", "exchange"),
		kind("installation", ticketv1.TicketType_TICKET_TYPE_INSTALLATION, 0.85, "安装", "上门调试", "装机", "install*", "commissioning"),
		kind("training", ticketv1.TicketType_TICKET_TYPE_TRAINING, 0.85, "培训", "授课", "training", "trainer"),
		kind("repair", ticketv1.TicketType_TICKET_TYPE_REPAIR, 0.8,
			"维修", "报修", "修理", "坏了", "损坏", "故障", "不启动", "无法启动", "repair*", "broken", "broke", "does not start", "won't start", "defective"),
		kind("technical-problem", ticketv1.TicketType_TICKET_TYPE_TECHNICAL_PROBLEM, 0.75,
			"报错", "错误代码", "死机", "连不上", "无法连接", "异常", "error", "errors", "crash*", "fault code", "cannot connect", "bug"),
		kind("suggestion", ticketv1.TicketType_TICKET_TYPE_SUGGESTION, 0.7, "建议", "改进意见", "希望增加", "suggest*", "feature request", "wish"),
		kind("consultation", ticketv1.TicketType_TICKET_TYPE_CONSULTATION, 0.65,
			"咨询", "请问", "如何", "怎么用", "怎样", "多少钱", "how to", "how do", "question", "enquiry", "inquiry"),
		kind("request", ticketv1.TicketType_TICKET_TYPE_REQUEST, 0.6, "申请", "需要", "请寄", "请提供", "request*", "please send", "please provide"),
	}
}
